"""Erases an entity from a stack, in passes, until one finds nothing that had arrived before the run began.

A pass goes the way of an event, so that what one place hands on while it is worked on is met in the next.
Every pass erases all that it finds, so it does not matter where a run was broken off: the next one finds
what is left.
"""

import time
from collections.abc import Callable
from typing import Any

from common.keyed_hash import hashed_id
from stream_features.entity_key import read_key
from streamscore.decided.decisions_log import Stack
from streamscore.entity_keys import SECRET
from streamscore.erasure.bucket import Bucket
from streamscore.erasure.found import QUEUE, Found
from streamscore.erasure.items import Items
from streamscore.erasure.objects import names_it
from streamscore.erasure.price import Extent
from streamscore.erasure.receipt import Receipt, remains
from streamscore.erasure.whom import Whom
from streamscore.progress import Progress, Step
from streamscore.redrive.undelivered import messages
from streamscore.room_client import RoomClient

MOST_PASSES = 4


class Erasure:
    """One run over a stack for one entity; of a dry run, nothing is written."""

    def __init__(self, stack: Stack, name: str, whom: Whom, dry_run: bool, now_ms: Callable[[], int]) -> None:
        self._outputs, self._name, self._whom = stack.outputs, name, whom
        self._dry_run, self._now_ms = dry_run, now_ms
        services = ("dynamodb", "sqs", "kinesis", "secretsmanager")
        self._clients = {service: RoomClient(stack.client(service)) for service in services}
        self._s3 = stack.client("s3")

    def extent(self) -> Extent:
        """What a pass will read."""
        with self._bucket() as bucket:
            sizes = [entry.size for entry in bucket.listed()]
        state = 0 if self._whom.is_primary else self._table_bytes("StateTableName")
        return Extent(
            self._table_bytes("DecisionsTableName"), state, len(self._whom.keys), len(sizes), sum(sizes)
        )

    def run(self, progress: Progress) -> Receipt:
        """Pass after pass; a dry run is one. The receipt is kept in the bucket."""
        began_ms, passes = self._now_ms(), list[Found]()
        digest = self._value_hash()
        while not passes or (passes[-1].old and not self._dry_run and len(passes) < MOST_PASSES):
            found = Found(began_ms)
            with progress.step(f"pass {len(passes) + 1}", "items and objects") as step:
                self._pass(found, step)
            passes.append(found)
        ended_ms = self._now_ms()
        receipt = Receipt(self._name, self._whom.entity, digest, began_ms, ended_ms, self._dry_run, passes)
        return receipt if self._dry_run else self._kept(receipt)

    def _pass(self, found: Found, step: Step) -> None:
        items = Items(
            self._clients["dynamodb"],
            self._outputs["StateTableName"],
            self._outputs["DecisionsTableName"],
            self._dry_run,
        )
        items.state(self._whom, found)
        if not self._whom.is_primary:
            items.rows(self._whom, found, step)
        items.decisions(self._whom, found, step)
        self._queue(found)
        with self._bucket() as bucket:
            bucket.erase(self._whom, bucket.listed(), found, step)

    def _queue(self, found: Found) -> None:
        """Bus events that were not delivered; a message that is no such thing is put back at once."""
        sqs, url = self._clients["sqs"], self._outputs["UndeliveredQueueUrl"]
        seen: list[dict[str, Any]] = list(messages(sqs, url))
        for message in seen:
            receipt = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
            named = names_it(message["Body"], self._whom)
            if named:
                found.add(QUEUE, [int(message["Attributes"]["SentTimestamp"])])
            if named and not self._dry_run:
                sqs.delete_message(**receipt)
            else:
                sqs.change_message_visibility(**receipt, VisibilityTimeout=0)

    def _kept(self, receipt: Receipt) -> Receipt:
        dynamodb, stream = self._clients["dynamodb"], self._outputs["EventsStreamArn"]
        about = self._clients["kinesis"].describe_stream_summary(StreamARN=stream)
        hours = int(about["StreamDescriptionSummary"]["RetentionPeriodHours"])
        told = dynamodb.describe_continuous_backups(TableName=self._outputs["DecisionsTableName"])
        recovery = told["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        days = int(recovery.get("RecoveryPeriodInDays", 35))
        receipt = receipt._replace(remains=remains(receipt.ended_ms, hours, days))
        with self._bucket() as bucket:
            bucket.keep(receipt.key, receipt.as_json())
        return receipt

    def _value_hash(self) -> str:
        key = read_key(self._clients["secretsmanager"], self._outputs[SECRET])
        return hashed_id(key, self._whom.value).removeprefix("~")

    def _table_bytes(self, output: str) -> int:
        told = self._clients["dynamodb"].describe_table(TableName=self._outputs[output])
        return int(told["Table"].get("TableSizeBytes", 0))

    def _bucket(self) -> Bucket:
        return Bucket(self._s3, self._outputs["DataBucketName"], self._dry_run)


def now_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000
