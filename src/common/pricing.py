"""What AWS bills an invocation for, in AWS's units and by its rounding rules. Pure; prices: common/prices.py.

What an account pays by the hour or month whatever it does (shards, storage, metrics, alarms) is no
invocation's, and is left to `streamscore estimate`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from common.prices import AS_OF, PRICES, REGION, Price

__all__ = ["AS_OF", "PRICES", "REGION", "Price"]


@dataclass(slots=True)
class Usage:
    """What was used, in the units AWS bills; every field has a price of the same name in `PRICES`."""

    lambda_requests: float = 0.0
    lambda_gb_s: float = 0.0
    dynamodb_write_units: float = 0.0
    dynamodb_read_units: float = 0.0
    kinesis_put_units: float = 0.0
    kinesis_in_kb: float = 0.0
    kinesis_out_kb: float = 0.0
    eventbridge_events: float = 0.0
    sqs_requests: float = 0.0
    s3_puts: float = 0.0
    s3_gets: float = 0.0
    http_requests: float = 0.0
    log_kb: float = 0.0


METERED: Mapping[str, Price] = MappingProxyType({field.name: PRICES[field.name] for field in fields(Usage)})
"""The prices of what a function uses; each is a component, and a metric, of its own."""
COMPONENTS: tuple[str, ...] = tuple(price.component for price in METERED.values())


def cost_by_component(usage: Usage, prices: Mapping[str, Price] = METERED) -> dict[str, float]:
    """US dollars by component of the bill; components that were not used are left out.

    >>> cost_by_component(Usage(dynamodb_write_units=1_000_000))
    {'DynamoDbWrite': 0.625}
    """
    costs: dict[str, float] = {}
    for field in fields(usage):
        amount = getattr(usage, field.name)
        if amount:
            price = prices[field.name]
            costs[price.component] = costs.get(price.component, 0.0) + amount * price.usd
    return costs


def cost_usd(usage: Usage, prices: Mapping[str, Price] = METERED) -> float:
    """US dollars for everything in `usage`."""
    return math.fsum(cost_by_component(usage, prices).values())


def lambda_gb_s(duration_ms: float, memory_mb: int) -> float:
    """GB-seconds billed: duration rounded up to a millisecond, times memory.

    >>> lambda_gb_s(999.2, 1024)
    1.0
    """
    return math.ceil(duration_ms) / 1000.0 * memory_mb / 1024.0


def write_units(item_bytes: int) -> int:
    """Write units of one standard write of an item this large: each started KB, at least one."""
    return max(1, math.ceil(item_bytes / 1024))


def read_units(item_bytes: int, *, consistent: bool = True) -> float:
    """Read units of one item: each started 4 KB, at least one (missing too); half if eventual."""
    units = max(1, math.ceil(item_bytes / 4096))
    return float(units) if consistent else units / 2


def kinesis_put_units(record_bytes: int) -> int:
    """PUT payload units billed for one record put on a provisioned stream: each started 25 KB."""
    return max(1, math.ceil(record_bytes / 25600))


def kinesis_in_kb(record_bytes: int) -> int:
    """KB billed for one record put on an on-demand stream: each started KB."""
    return max(1, math.ceil(record_bytes / 1024))


def eventbridge_events(entry_bytes: int) -> int:
    """Events billed for one entry: each started 64 KB."""
    return max(1, math.ceil(entry_bytes / 65536))


def sqs_requests(message_bytes: int) -> int:
    """Requests billed for one to a queue: each started 64 KB."""
    return max(1, math.ceil(message_bytes / 65536))


def http_requests(body_bytes: int) -> int:
    """Requests billed for one through the HTTP API: each started 512 KB."""
    return max(1, math.ceil(body_bytes / 524288))


def consumed_units(response: Mapping[str, Any]) -> float | None:
    """Total units of a DynamoDB response's `ConsumedCapacity` (one or a list); None where it carries none."""
    consumed: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = response.get("ConsumedCapacity")
    if not consumed:
        return None
    tables = [consumed] if isinstance(consumed, Mapping) else consumed
    return math.fsum(float(table.get("CapacityUnits", 0.0)) for table in tables)


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Size of an item in DynamoDB JSON by AWS's rules (Developer Guide, "DynamoDB item sizes and formats").

    >>> item_bytes({"pk": {"S": "customer#1"}, "v": {"N": "123"}})
    16
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    (kind, content), *_ = value.items()
    match kind:
        case "S" | "B":
            size = len(content.encode() if isinstance(content, str) else content)
        case "N":
            size = _number_bytes(content)
        case "L":
            size = 3 + sum(1 + _value_bytes(entry) for entry in content)
        case "M":
            size = 3 + sum(1 + len(name.encode()) + _value_bytes(entry) for name, entry in content.items())
        case "SS" | "NS" | "BS":
            size = sum(_value_bytes({kind[0]: entry}) for entry in content)
        case _:
            size = 1
    return size


def _number_bytes(text: str) -> int:
    mantissa = text.lower().split("e")[0].lstrip("-").replace(".", "").strip("0")
    return math.ceil(len(mantissa) / 2) + 1 + text.startswith("-")
