"""What starts retraining: a new object in the bucket, by EventBridge; an alarm, by SNS."""

import json

from streamscore.samples.purchases import STARTED, Json, iso

_ACCOUNT, _REGION = "123456789012", "eu-west-1"


def retrain_events() -> dict[str, Json]:
    """By file name."""
    return {"retrain-new-data.json": _new_object(), "retrain-alarm.json": _alarm()}


def _new_object() -> Json:
    """As the user guide of S3 shows it: "EventBridge event message structure"."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": _ACCOUNT,
        "time": iso(STARTED),
        "region": _REGION,
        "resources": ["arn:aws:s3:::sample-bucket"],
        "detail": {
            "version": "0",
            "bucket": {"name": "sample-bucket"},
            "object": {
                "key": "raw-data/november.csv",
                "size": 52_428_800,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
                "sequencer": "00617F08299329D189",
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": _ACCOUNT,
            "source-ip-address": "192.0.2.1",
            "reason": "PutObject",
        },
    }


def _alarm() -> Json:
    """As the developer guide of Lambda shows it, the message as CloudWatch writes it."""
    arn = f"arn:aws:sns:{_REGION}:{_ACCOUNT}:sample-AlarmTopic"
    message = {
        "AlarmName": "sample-RetrainingAdvisedAlarm",
        "AlarmDescription": "Today: what changed is past the thresholds for retraining",
        "AWSAccountId": _ACCOUNT,
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed",
        "StateChangeTime": iso(STARTED),
        "Trigger": {"MetricName": "RetrainingAdvised", "Namespace": "streamscore"},
    }
    told = {
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": arn,
        "Subject": 'ALARM: "sample-RetrainingAdvisedAlarm"',
        "Message": json.dumps(message),
        "Timestamp": iso(STARTED),
        "MessageAttributes": {},
    }
    subscription = f"{arn}:21be56ed-a058-49f5-8c98-aedd2564c486"
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "EventSource": "aws:sns",
        "Sns": told,
    }
    return {"Records": [record]}
