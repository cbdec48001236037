"""The price table: one region, one date, a source for every figure.

List prices without free tiers, credits or volume discounts. `streamscore cost` and `estimate` take another
table from a file (`--prices`), see docs/cost.md; functions meter by this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

REGION = "us-east-1"
AS_OF = "2026-11-24"
_LIST = "AWS Price List of 2026-09-11/19, read 2026-09-24"
_KINESIS = "aws.amazon.com/kinesis/data-streams/pricing; figures as published by trek10, 2023"
_S3 = "c3x.dev/blog/s3-request-fees-explained, 2026"
_ZEON = "zeonedge, not verified for 2026"
_KB_PER_GB = 1024.0 * 1024.0


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one `unit`, the component of the bill it belongs to, and where the figure was read."""

    component: str
    usd: float
    unit: str
    source: str


PRICES: Mapping[str, Price] = MappingProxyType(
    {
        # What an invocation uses: fields of `pricing.Usage`. One component each, so that what was metered in
        # dollars can be priced again by another table.
        "lambda_requests": Price("LambdaRequests", 0.20e-6, "request", _LIST),
        "lambda_gb_s": Price("LambdaDuration", 0.0000166667, "GB-second, x86_64, tier 1", _LIST),
        "dynamodb_write_units": Price("DynamoDbWrite", 0.625e-6, "write request unit, on demand", _LIST),
        "dynamodb_read_units": Price("DynamoDbRead", 0.125e-6, "read request unit, on demand", _LIST),
        "kinesis_put_units": Price(
            "KinesisPut", 0.014e-6, "PUT payload unit of 25 KB, provisioned", _KINESIS
        ),
        "kinesis_in_kb": Price(
            "KinesisIn", 0.08 / _KB_PER_GB, "KB in, each record rounded up to 1 KB, on demand", _KINESIS
        ),
        "kinesis_out_kb": Price(
            "KinesisOut", 0.04 / _KB_PER_GB, "KB out, not rounded, one consumer, on demand", _KINESIS
        ),
        "eventbridge_events": Price(
            "EventBridge", 1.00e-6, "custom event, each 64 KB", "aws.amazon.com/eventbridge/pricing"
        ),
        "sqs_requests": Price(
            "Sqs", 0.40e-6, "request to a standard queue, each 64 KB", "aws.amazon.com/sqs/pricing"
        ),
        "s3_puts": Price("S3Put", 0.005e-3, "PUT, standard class", _S3),
        "s3_gets": Price("S3Get", 0.0004e-3, "GET, standard class", _S3),
        "http_requests": Price(
            "HttpApi", 1.00e-6, "HTTP API request, each 512 KB", "aws.amazon.com/api-gateway/pricing"
        ),
        "log_kb": Price(
            "Logs", 0.50 / _KB_PER_GB, "KB of Lambda logs ingested, first tier", "duckbill, 2025-05-01 tiers"
        ),
        # By the hour or the month, whatever was used: for `estimate` alone.
        "kinesis_shard_hours": Price("KinesisHours", 0.015, "provisioned shard-hour", _KINESIS),
        "kinesis_stream_hours": Price("KinesisHours", 0.04, "on-demand stream-hour", _KINESIS),
        "fan_out_shard_hours": Price("FanOut", 0.015, "consumer-shard-hour, provisioned", _KINESIS),
        "fan_out_gb": Price("FanOut", 0.013, "GB to a fan-out consumer, provisioned", _KINESIS),
        "fan_out_gb_on_demand": Price("FanOut", 0.05, "GB to a fan-out consumer, on demand", "unconfirmed"),
        "dynamodb_write_capacity_hours": Price("DynamoDbWrite", 0.00065, "WCU-hour, provisioned", _ZEON),
        "dynamodb_read_capacity_hours": Price("DynamoDbRead", 0.00013, "RCU-hour, provisioned", _ZEON),
        "dynamodb_storage_gb_months": Price("Storage", 0.25, "GB-month, standard class", _LIST),
        "dynamodb_backup_gb_months": Price(
            "Storage", 0.20, "GB-month of point-in-time recovery", "aws.amazon.com/dynamodb/pricing"
        ),
        "log_gb_months": Price(
            "Storage", 0.03, "GB-month of logs, compressed", "aws.amazon.com/cloudwatch/pricing"
        ),
        "metric_months": Price("Metrics", 0.30, "custom metric-month, first 10,000", "signoz, 2026-02"),
        "alarm_months": Price("Metrics", 0.10, "standard alarm-month", "aws.amazon.com/cloudwatch/pricing"),
        "dashboard_months": Price("Metrics", 3.00, "dashboard-month", "aws.amazon.com/cloudwatch/pricing"),
        "xray_traces": Price("XRay", 5.0e-6, "trace recorded", "aws.amazon.com/xray/pricing"),
        "kms_key_months": Price("Keys", 1.00, "customer key-month", "aws.amazon.com/kms/pricing"),
        "secret_months": Price("Keys", 0.40, "secret-month", "aws.amazon.com/secrets-manager/pricing"),
    }
)
