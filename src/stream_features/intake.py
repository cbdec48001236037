"""From what Lambda hands over to a delivery that can be applied, and the records that are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from common.errors import RecordRefusedError
from common.records import Record, Refused, kinesis_records
from stream_features.careful_decoder import MAX_TRACE_CHARACTERS
from stream_features.events import Decoded, Decoder, Event, Label
from stream_features.outbox import OUT_BUDGET_BYTES, row_bytes
from stream_features.spec import Spec
from stream_features.state import Order, item_key, shard_number
from stream_features.verdict import Delivery


@dataclass(frozen=True, slots=True)
class Intake:
    """`raw[n]` is where `delivery.records[n]` came from; `refused` is in the shard's order too."""

    delivery: Delivery
    raw: Sequence[Record]
    refused: Sequence[Refused]


def take(event: Mapping[str, Any], spec: Spec, decoder: Decoder) -> Intake:
    """Decode a Lambda Kinesis event, which holds records of one shard."""
    taken, refused = kinesis_records(event)
    raw: list[Record] = []
    records: list[Event | Label] = []
    datas = [record.data for record in taken]
    decoded = decoder.decode_all(datas, [record.arrival_ms for record in taken])
    if 4 * max(map(len, datas), default=0) > OUT_BUDGET_BYTES:
        decoded = [_fitting(spec, found) for found in decoded]
    for record, found in zip(taken, decoded, strict=True):
        if isinstance(found, RecordRefusedError):
            trace = _trace_of(record.data, spec.event.trace)
            hidden = msgspec.structs.replace(record, data=decoder.hidden(record.data))
            refused.append(Refused(hidden, found.reason, str(found), trace))
            continue
        raw.append(record)
        records.append(found)
    refused.sort(key=lambda r: r.record.order)
    shard, start = _shard_and_start(event)
    orders = [record.order for record in raw]
    return Intake(Delivery(shard, start, records, orders, _keys(spec, records)), raw, refused)


def _keys(spec: Spec, records: Sequence[Event | Label]) -> list[tuple[str, ...]]:
    """The keys of each record's items, the primary's first."""
    columns = zip(*[record.entities for record in records], strict=True)
    pairs = zip(spec.entities, columns, strict=False)  # no columns if there are no records
    return list(
        zip(*[[item_key(entity.name, value) for value in column] for entity, column in pairs], strict=True)
    )


def _fitting(spec: Spec, found: Decoded) -> Decoded:
    """A refusal in place of a row that no item can carry: hundreds of kept fields, each within its bound."""
    if isinstance(found, RecordRefusedError) or row_bytes(spec, found) <= OUT_BUDGET_BYTES:
        return found
    return RecordRefusedError("out_of_range", f"the row to score is beyond {OUT_BUDGET_BYTES} bytes")


def _trace_of(data: bytes, field: str | None) -> str | None:
    """The producer's trace in a record that was refused, if that much of it can be read."""
    try:
        found = _fields.decode(data).get(field or "")
        return found if isinstance(found, str) and len(found) <= MAX_TRACE_CHARACTERS else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_fields = msgspec.json.Decoder(dict[str, Any])


def _shard_and_start(event: Mapping[str, Any]) -> tuple[int, Order]:
    entries = event.get("Records") or [{"eventID": ":0"}]
    shards = {entry["eventID"].partition(":")[0] for entry in entries}
    if len(shards) > 1:
        raise ValueError(f"a batch of {len(shards)} shards: an event source mapping never makes one")
    return shard_number(shards.pop()), (int(entries[0]["eventID"].partition(":")[2]), 0)
