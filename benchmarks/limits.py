"""What the largest loads that docs/operations.md names do to a state and to a lane: a Markdown table.

Through the handler; DynamoDB is in memory, so CPU is the lane's own. python benchmarks/limits.py
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from common.dynamodb import DynamoDB
from stream_features.events import decoder
from stream_features.handler import Runtime, apply_batch
from stream_features.spec import Spec, parse
from stream_features.state import decode_out
from tests.stream_events import kinesis_event
from tests.unit.test_limits import SPEC, InMemory
from tests.unit.transformed_template import ROOT

NOW_MS = 1_764_000_000_000
BATCH = 500
SHIPPED = parse((ROOT / "src/features.toml").read_text())


class Run:
    """Events through one lane; the table, and the CPU that it took."""

    def __init__(self, spec: Spec, count: int, event: Callable[[int], dict[str, Any]]) -> None:
        self.table, self.spec = InMemory(), spec
        nowhere: Any = None
        made = Runtime(spec, decoder(spec), DynamoDB(self.table), "state", nowhere)  # type: ignore[arg-type]
        self.cpu_s = 0.0
        for batch in _batches(count, event):
            began_s = time.process_time()
            assert apply_batch(batch, made, lambda: 60_000) == {"batchItemFailures": []}
            self.cpu_s += time.process_time() - began_s
        self.cpu = f"{self.cpu_s / count * 1e6:.0f} µs CPU an event"

    def size(self, pk: str) -> int:
        """Bytes of an entity's state."""
        return len(self.table.items[pk]["s"]["B"])

    def newest(self, pk: str) -> dict[str, float]:
        """The features of an entity's newest event."""
        out = decode_out(self.table.items[pk]["out"]["B"])  # type: ignore[arg-type]
        values = memoryview(out.rows[-1].vector).cast("f").tolist()
        return dict(zip(self.spec.feature_names, values, strict=True))


def _batches(count: int, event: Callable[[int], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for first in range(0, count, BATCH):
        made = [event(n) for n in range(first, first + BATCH)]
        yield kinesis_event(made, NOW_MS + 86_400_000, first=1 + first)


def _payment(n: int, at_ms: int, customer: str, terminal: str) -> dict[str, Any]:
    ids = {"transaction_id": f"e{n}", "customer_id": customer, "terminal_id": terminal}
    return {**ids, "event_time": at_ms, "amount": n % 1000}


def main() -> None:
    """One row a load."""
    print("| load | result |\n|---|---|")
    count = 100_000
    day = Run(SHIPPED, count, lambda n: _payment(n, NOW_MS + n * 864, "c", f"t{n % 50}"))
    counted, size = day.newest("customer#c")["customer_count_1d"], day.size("customer#c")
    print(f"| {count:,} events of one customer in a day | count {counted:,.0f}; {size:,} bytes; {day.cpu} |")
    count = 10_000
    new = Run(SHIPPED, count, lambda n: _payment(n, NOW_MS, f"c{n}", f"t{n}"))
    print(f"| {count:,} new customers at new terminals | {len(new.table.items):,} items; {new.cpu} |")
    count = 1_000_000
    many = Run(
        SPEC, count, lambda n: {"id": f"e{n}", "at": NOW_MS + n, "card": "c", "shop": f"s{n}", "amount": 1}
    )
    found = many.newest("card#c")
    print(
        f"| {count:,} shops of one card | `distinct` {found['shops']:.0f}; {many.size('card#c'):,} bytes; "
        f"{len(many.table.items):,} items; {many.cpu} |"
    )


if __name__ == "__main__":
    main()
