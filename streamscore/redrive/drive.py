"""Brings back what did not make it, by kind: records to the stream, batches to their function, ids to their
queue.

Order of writes: a request of records, or an invocation; then the note that it is done. A run that is killed
between the two repeats one request, whose records their entities know (`again.requests`), or one batch,
whose decisions and windows are what they were.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from common.errors import InvalidInputError, RecordRefusedError
from stream_features.entity_ids import unhashed
from stream_features.events import decoder
from stream_features.spec_model import Spec
from streamscore.decided.decisions_log import Stack
from streamscore.producer.stream import put_in_order
from streamscore.progress import Step
from streamscore.redrive import again, undelivered
from streamscore.redrive.again import Origin, Returning
from streamscore.redrive.report import Report
from streamscore.redrive.shelf import Opened, Shelf
from streamscore.redrive.strays import Batch, Stray
from streamscore.room_client import RoomClient

FUNCTIONS = {
    "stream_features": "StreamFeaturesFunctionName",
    "scoring": "ScoringFunctionName",
    "monitor": "MonitorWindowsFunctionName",
}
"""The output that names each room's function on a stream."""


class Wanted(NamedTuple):
    """What to bring back: what was written since then; only these reasons, if there are any."""

    since_ms: int = 0
    reasons: frozenset[str] = frozenset()

    def holds(self, reason: str) -> bool:
        """Whether what was refused or given up for this reason is wanted."""
        return not self.reasons or reason in self.reasons


class Drive:
    """One run over a stack. `rate`: records a second onto the stream, beside what producers put."""

    def __init__(
        self,
        stack: Stack,
        spec: Spec,
        wanted: Wanted,
        rate: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stack, self._outputs = stack, stack.outputs
        self._spec, self._decoder, self._wanted = spec, decoder(unhashed(spec)), wanted
        self._rate, self._sleep = rate, sleep
        self._kinesis, self._lambda = (RoomClient(stack.client(name)) for name in ("kinesis", "lambda"))

    def run(self, report: Report, step: Step) -> None:
        """Find what is wanted and bring it back, or only count it if the report is of a dry run."""
        rooms = {self._outputs[output]: room for room, output in FUNCTIONS.items()}
        with Shelf(self._stack.client("s3"), self._outputs["DataBucketName"], rooms) as shelf:
            entries = shelf.listed(self._wanted.since_ms)
            step.expect(len(entries))
            for objects in shelf.opened(entries, lambda key, error: _unreadable(report, key, error)):
                self._put_back(shelf, objects, report)
                for one in objects:
                    if isinstance(one.found, Batch) and self._wanted.holds(one.found.reason):
                        self._hand_over(shelf, one, one.found, report)
                step.advance(len(objects))
        if self._wanted.holds(undelivered.REASON):
            queues = self._outputs["UndeliveredQueueUrl"], self._outputs["UnpublishedQueueUrl"]
            sqs = RoomClient(self._stack.client("sqs"))
            undelivered.requeue(sqs, *queues, self._wanted.since_ms, report)

    def _put_back(self, shelf: Shelf, objects: Sequence[Opened], report: Report) -> None:
        by_key = {one.key: one for one in objects}
        for request in again.requests(self._returning(objects, report)):
            if report.dry_run:
                continue
            stream, records = self._outputs["EventsStreamArn"], [one.record for one in request]
            for _ in put_in_order(self._kinesis, stream, [records]):
                places: dict[str, list[int]] = {}
                for one in request:
                    places.setdefault(one.origin.key, []).append(one.origin.place)
                for key, done in places.items():
                    by_key[key].progress.done(done)
                shelf.note(by_key[key] for key in places)
            self._sleep(len(request) / self._rate)

    def _returning(self, objects: Sequence[Opened], report: Report) -> Iterator[Returning]:
        """The records of these objects that can go back now; the others are counted."""
        for one in objects:
            if isinstance(one.found, Batch):
                continue
            still = set(one.progress.open(len(one.found)))
            for place, stray in enumerate(one.found):
                if not self._wanted.holds(stray.reason):
                    continue
                tally = report.tallies[one.kind, stray.reason]
                tally.records += 1
                if place not in still:
                    tally.before += 1
                elif (back := self._back(Origin(one.key, place), stray, report, one.kind)) is not None:
                    tally.back += 1
                    yield back

    def _back(self, origin: Origin, stray: Stray, report: Report, kind: str) -> Returning | None:
        now_ms = time.time_ns() // 1_000_000
        try:
            return again.returning(self._spec, self._decoder, origin, stray.data, now_ms)
        except RecordRefusedError as error:
            where = f"{origin.key} line {origin.place + 1}"
            report.leave((kind, stray.reason), 1, where, f"{error.reason}: {error}")
            return None

    def _hand_over(self, shelf: Shelf, one: Opened, batch: Batch, report: Report) -> None:
        """Let the function have the batch; it is done if nothing of it is unfinished."""
        tally = report.tallies[one.kind, batch.reason]
        tally.records += batch.size
        if not list(one.progress.open(1)):
            tally.before += batch.size
            return
        wrong = None if report.dry_run else self._invoked(batch)
        if wrong is not None:
            report.leave((one.kind, batch.reason), batch.size, one.key, wrong)
            return
        tally.back += batch.size
        if not report.dry_run:
            one.progress.done([0])
            shelf.note([one])

    def _invoked(self, batch: Batch) -> str | None:
        """What went wrong, if anything did."""
        name = self._outputs[FUNCTIONS[batch.room]]
        answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(batch.event).encode())
        reply: Any = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            return f"{batch.room} failed: {(reply or {}).get('errorMessage', 'no message')}"
        failures = (reply or {}).get("batchItemFailures")
        return f"{batch.room} did not finish it; run redrive again" if failures else None


def _unreadable(report: Report, key: str, error: InvalidInputError) -> None:
    report.tallies["unreadable", "unreadable"].records += 1
    report.leave(("unreadable", "unreadable"), 1, key, str(error))
