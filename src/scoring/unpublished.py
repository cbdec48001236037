"""The queue of decisions the bus did not take: ids only, since the table holds the decisions themselves."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from common.aws import Backoff, RemainingMs, answer_of
from common.telemetry import logger, meter

MESSAGES_PER_READ = 10
_IDS_PER_MESSAGE = 100
_BYTES_PER_MESSAGE = 200_000


class Waiting(NamedTuple):
    """A message of the queue: the decisions it stands for, and what takes it out."""

    ids: list[str]
    receipt: str


class Unpublished:
    """The queue of a stack. A message that was read is hidden for a while, and comes again unless it is taken
    out; one that has come a thousand times goes to the queue of the undelivered, which has an alarm.
    """

    def __init__(self, sqs: Callable[[], Any], url: str, backoff: Backoff | None = None) -> None:
        """`sqs` makes the client, at the first need: most processes have none."""
        self._sqs, self._url, self._backoff = sqs, url, backoff or Backoff()

    def keep(self, ids: Sequence[str], remaining_ms: RemainingMs) -> set[str]:
        """Put these ids into the queue; those that it did not take in time."""
        todo = list(_messages(ids))
        for _ in self._backoff.tries(remaining_ms) if todo else ():
            todo = [some for some in todo if self._send(some) is None]
            if not todo:
                break
        return {id_ for some in todo for id_ in some}

    def read(self) -> list[Waiting]:
        """The next messages, at most MESSAGES_PER_READ; none if the queue does not answer now."""
        request = {"QueueUrl": self._url, "MaxNumberOfMessages": MESSAGES_PER_READ}
        answer = answer_of(lambda: self._sqs().receive_message(**request))
        messages = (answer or {}).get("Messages", [])
        _metered(answer, sum(len(message["Body"]) for message in messages))
        return [found for found in map(_waiting, messages) if found is not None]

    def take_out(self, waiting: Waiting) -> None:
        """Forget a message; if that fails it comes again, and its decisions are published again."""
        request = {"QueueUrl": self._url, "ReceiptHandle": waiting.receipt}
        _metered(answer_of(lambda: self._sqs().delete_message(**request)))

    def _send(self, ids: Sequence[str]) -> Any:
        body = json.dumps(ids)
        answer = answer_of(lambda: self._sqs().send_message(QueueUrl=self._url, MessageBody=body))
        return _metered(answer, len(body))


def _metered(answer: Any, message_bytes: int = 0) -> Any:
    if answer is not None:
        meter().sqs(message_bytes)
    return answer


def _messages(ids: Sequence[str]) -> Iterator[list[str]]:
    """The ids in lists that fit a message each."""
    some: list[str] = []
    size = 0
    for id_ in ids:
        own = len(json.dumps(id_)) + 2
        if some and (len(some) == _IDS_PER_MESSAGE or size + own > _BYTES_PER_MESSAGE):
            yield some
            some, size = [], 0
        some, size = [*some, id_], size + own
    if some:
        yield some


def _waiting(message: dict[str, Any]) -> Waiting | None:
    try:
        return Waiting(msgspec.json.decode(message["Body"], type=list[str]), message["ReceiptHandle"])
    except msgspec.MsgspecError as error:
        logger().error("a message of the queue is none of ours", extra={"error": str(error)})
        return None
