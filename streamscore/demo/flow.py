"""The live records, put a part at a time while something else is done."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec

from stream_features.spec import Spec
from streamscore.local.stack import Stack
from streamscore.producer.stream import Pace, Record, Sent, put
from streamscore.progress import Step

_DECIDED_WITHIN_S, _LOOK_S = 60.0, 0.1


@dataclass
class Flow:
    """What is still to put, and what has been."""

    stack: Stack
    spec: Spec
    records: Iterator[Record]
    pace: Pace
    step: Step
    sent: Sent = field(default_factory=Sent)

    @contextmanager
    def during(self, events: int) -> Iterator[None]:
        """Put the next `events` events, and the labels among them, while the caller does something. It ends
        once all are put and the last is decided; if the caller fails, nothing more is put.
        """
        some, stopped = self._next(events), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            putting = pool.submit(self._put, takewhile(lambda _: not stopped.is_set(), some))
            try:
                yield
            except BaseException:
                stopped.set()
                raise
            putting.result()
        self._wait_for(some[-1:])

    def rest(self) -> None:
        """Put all that are left, and do not wait."""
        self._put(self.records)

    def _put(self, some: Iterable[Record]) -> None:
        done = put(
            self.stack.client("kinesis"), self.stack.outputs["EventsStreamArn"], some, self.pace, self.step
        )
        self.sent.events += done.events
        self.sent.labels += done.labels

    def _next(self, events: int) -> list[Record]:
        """Up to and with so many events."""
        some: list[Record] = []
        for record in self.records if events else ():
            some.append(record)
            events -= not record.is_label
            if not events:
                break
        return some

    def _wait_for(self, events: Sequence[Record]) -> None:
        """Until these are decided; the checks will tell if they never are."""
        db, table = self.stack.client("dynamodb"), self.stack.outputs["DecisionsTableName"]
        deadline_s = time.monotonic() + _DECIDED_WITHIN_S
        for event in events:
            key = {"pk": {"S": str(msgspec.json.decode(event.data)[self.spec.event.id])}}
            while time.monotonic() < deadline_s:
                if "scored_at" in db.get_item(TableName=table, Key=key).get("Item", {}):
                    break
                time.sleep(_LOOK_S)
