"""How often lanes look for records: as soon as they come, or at the rates that AWS documents."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Least seconds from a read that found nothing to the next, of a Kinesis shard and of a table's."""

    kinesis_s: float = 0.0
    table_s: float = 0.0


PACES = {
    "local": Pace(),
    # https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html: once a second;
    # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html: four times
    "aws": Pace(kinesis_s=1.0, table_s=0.25),
    # https://docs.aws.amazon.com/streams/latest/dev/enhanced-consumers.html: pushed, typically within 70 ms
    "aws-fan-out": Pace(kinesis_s=0.07, table_s=0.25),
}
"""Enhanced fan-out changes nothing but the latency, so locally it is a pace."""
