"""A scoring function as a careful team writes it: ONNX Runtime, three boto3 clients, Powertools' tracer."""

import json
import os

import boto3
import numpy as np
import onnxruntime
from aws_lambda_powertools import Logger, Metrics, Tracer

logger, metrics, tracer = Logger(), Metrics(), Tracer()
ssm, s3, dynamodb = boto3.client("ssm"), boto3.client("s3"), boto3.client("dynamodb")

key = ssm.get_parameter(Name=os.environ["PEER_POINTER"])["Parameter"]["Value"]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    s3.get_object(Bucket=os.environ["PEER_BUCKET"], Key=f"{key}.onnx")["Body"].read(),
    options,
    providers=["CPUExecutionProvider"],
)
width = session.get_inputs()[0].shape[1]


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
@tracer.capture_lambda_handler
def handler(event, context):
    """Read the customer's features, score, decide."""
    body = json.loads(event["body"])
    key = {"pk": {"S": body["customer_id"]}}
    item = dynamodb.get_item(TableName=os.environ["PEER_TABLE"], Key=key, ConsistentRead=True)["Item"]
    row = np.array([[float(item[f"f{n}"]["N"]) for n in range(width)]], np.float32)
    score = float(session.run(None, {session.get_inputs()[0].name: row})[0].reshape(-1)[0])
    metrics.add_metric(name="Decisions", unit="Count", value=1)
    logger.info("decided", extra={"id": body["transaction_id"]})
    decision = "block" if score >= 0.9 else "review" if score >= 0.5 else "approve"
    return {"statusCode": 200, "body": json.dumps({"decision": decision, "score": score})}
