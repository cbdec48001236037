"""A scoring function as tutorials write it: a pickled scikit-learn model, boto3's resource, a tracer."""

import json
import os
import pickle

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from sklearn.ensemble import RandomForestClassifier

logger, metrics, tracer = Logger(), Metrics(), Tracer()
ssm, s3 = boto3.client("ssm"), boto3.client("s3")
table = boto3.resource("dynamodb").Table(os.environ["PEER_TABLE"])

key = ssm.get_parameter(Name=os.environ["PEER_POINTER"])["Parameter"]["Value"]
model: RandomForestClassifier = pickle.loads(
    s3.get_object(Bucket=os.environ["PEER_BUCKET"], Key=f"{key}.pickle")["Body"].read()
)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
@tracer.capture_lambda_handler
def handler(event, context):
    """Read the customer's features, score, decide."""
    body = json.loads(event["body"])
    item = table.get_item(Key={"pk": body["customer_id"]}, ConsistentRead=True)["Item"]
    row = [float(item[f"f{n}"]) for n in range(model.n_features_in_)]
    score = float(model.predict_proba([row])[0, 1])
    metrics.add_metric(name="Decisions", unit="Count", value=1)
    logger.info("decided", extra={"id": body["transaction_id"]})
    decision = "block" if score >= 0.9 else "review" if score >= 0.5 else "approve"
    return {"statusCode": 200, "body": json.dumps({"decision": decision, "score": score})}
