"""Ids of decisions that the event bus did not take in a day of trying: back to the queue they came from."""

from collections.abc import Iterator
from typing import Any

import msgspec

from streamscore.redrive.report import Report

REASON = "unpublished"
_KIND, _OTHERS = ("undelivered", REASON), ("undelivered", "no decision")
_HIDDEN_S = 60
_ids = msgspec.json.Decoder(list[str])


def requeue(sqs: Any, undelivered: str, unpublished: str, since_ms: int, report: Report) -> None:
    """Move them, each message first sent, then deleted: twice in a queue, a decision is published twice with
    the same content. Other messages stay: looks and bus events have remedies of their own.
    """
    kept = []
    for message in messages(sqs, undelivered):
        receipt = {"QueueUrl": undelivered, "ReceiptHandle": message["ReceiptHandle"]}
        kept.append(receipt)
        if int(message["Attributes"]["SentTimestamp"]) < since_ms:
            continue
        ids = _read(message["Body"])
        if ids is None:
            report.tallies[_OTHERS].records += 1
            why = "no ids of decisions; docs/operations.md, UndeliveredAlarm, says what to do"
            report.leave(_OTHERS, 1, f"message {message['MessageId']}", why)
            continue
        report.tallies[_KIND].records += len(ids)
        report.tallies[_KIND].back += len(ids)
        if not report.dry_run:
            sqs.send_message(QueueUrl=unpublished, MessageBody=message["Body"])
            sqs.delete_message(**kept.pop())
    for receipt in kept:
        sqs.change_message_visibility(**receipt, VisibilityTimeout=0)


def messages(sqs: Any, queue: str) -> Iterator[dict[str, Any]]:
    """Every message, each once, hidden for a while."""
    request = {
        "QueueUrl": queue,
        "MaxNumberOfMessages": 10,
        "VisibilityTimeout": _HIDDEN_S,
        "WaitTimeSeconds": 1,
    }
    while found := sqs.receive_message(**request, AttributeNames=["SentTimestamp"]).get("Messages"):
        yield from found


def _read(body: str) -> list[str] | None:
    try:
        return _ids.decode(body)
    except msgspec.MsgspecError:
        return None
