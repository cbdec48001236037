"""Accounts for what one invocation uses, in the units AWS bills."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from common import pricing


class Meter:
    """What one invocation has used so far. Safe to use from several threads.

    `on_demand` says how the events stream is billed: by bytes in and out, else by PUT payload units.
    `estimated_units` are those capacity units that no answer named: computed from item sizes by AWS's rules.
    """

    def __init__(self, *, on_demand: bool = False) -> None:
        self.usage = pricing.Usage()
        self.estimated_units = 0.0
        self._on_demand = on_demand
        self._lock = threading.Lock()

    def add(self, **amounts: float) -> None:
        """Add to fields of `pricing.Usage` by name."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self.usage, name, getattr(self.usage, name) + amount)

    def dynamodb_write(self, response: Mapping[str, Any], *, items: Iterable[int] = ()) -> None:
        """A write's `ConsumedCapacity` (ask for TOTAL); where there is none, from the items' byte sizes."""
        units = pricing.consumed_units(response)
        if units is None:
            units = self._estimated(sum(map(pricing.write_units, items)))
        self.add(dynamodb_write_units=units)

    def dynamodb_write_units(self, units: float) -> None:
        """Write units known some other way, as of a conditional write that failed (it consumes too)."""
        self.add(dynamodb_write_units=units)

    def dynamodb_read(self, response: Mapping[str, Any], *, asked: int = 1, consistent: bool = True) -> None:
        """A read's `ConsumedCapacity`; where there is none, from what was returned and asked in vain."""
        units = pricing.consumed_units(response)
        if units is None:
            units = self._estimated(_read_units(response, asked, consistent))
        self.add(dynamodb_read_units=units)

    def kinesis_records(self, sizes: Iterable[int]) -> None:
        """Records received from the stream, by byte size: on demand their way in (rounded up) and out.

        Their way in is the producer's bill; it is here as no function of ours sees the put. A record that
        is delivered again is counted again.
        """
        sizes = list(sizes)
        if self._on_demand:
            self.add(kinesis_in_kb=sum(map(pricing.kinesis_in_kb, sizes)), kinesis_out_kb=sum(sizes) / 1024)
        else:
            self.add(kinesis_put_units=sum(map(pricing.kinesis_put_units, sizes)))

    def eventbridge(self, sizes: Iterable[int]) -> None:
        """Entries put on a bus, by size in bytes."""
        self.add(eventbridge_events=sum(map(pricing.eventbridge_events, sizes)))

    def sqs(self, message_bytes: int = 0) -> None:
        """A request to a queue that was answered, and how large the messages in it were."""
        self.add(sqs_requests=pricing.sqs_requests(message_bytes))

    def s3_put(self, requests: int = 1) -> None:
        """Objects written to S3."""
        self.add(s3_puts=requests)

    def s3_get(self, requests: int = 1) -> None:
        """Objects read from S3."""
        self.add(s3_gets=requests)

    def http_request(self, body_bytes: int = 0) -> None:
        """A request that came through the HTTP API, and how large it was."""
        self.add(http_requests=pricing.http_requests(body_bytes))

    def logged(self, size: int) -> None:
        """Bytes written to the log."""
        self.add(log_kb=size / 1024)

    def take(self, other: "Meter") -> None:
        """Add all that another has counted."""
        self.add(**asdict(other.usage))
        self._estimated(other.estimated_units)

    def _estimated(self, units: float) -> float:
        with self._lock:
            self.estimated_units += units
        return units


def _read_units(response: Mapping[str, Any], asked: int, consistent: bool) -> float:
    """A query's items are rounded up together, items read by their keys each by itself."""
    if "Items" in response:
        return pricing.read_units(sum(map(pricing.item_bytes, response["Items"])), consistent=consistent)
    items = [item for found in response.get("Responses", {}).values() for item in found]
    items += [response["Item"]] if "Item" in response else []
    units = [pricing.read_units(pricing.item_bytes(item), consistent=consistent) for item in items]
    return sum(units) + max(0, asked - len(items)) * pricing.read_units(0, consistent=consistent)
