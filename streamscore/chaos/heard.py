"""What services took, as the proxy heard it: decisions on the bus or in its queue, records on the stream."""

import base64
import json
import threading
from collections import Counter
from typing import Any

import msgspec

from scoring.bus import DETAIL_TYPES
from streamscore.chaos.rubbish import RUBBISH

HEARD = ("PutEvents", "SendMessage", "PutRecords")


class Heard:
    """`told`: event id to what the bus was told of it, each version once, nothing if it waits in the queue.

    `landed` records came onto the stream, repeats included; `rubbish`: how often each piece of it.
    """

    def __init__(self) -> None:
        self.told: dict[str, list[Any]] = {}
        self.landed = 0
        self.rubbish: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def offer(self, operation: str, request: bytes, reply: bytes) -> None:
        """Take a call that was done, whether or not its caller hears of it."""
        if operation not in HEARD:
            return
        asked = msgspec.json.decode(request)
        with self._lock:
            match operation:
                case "PutEvents":
                    self._bus(_taken(asked["Entries"], reply, "Entries"))
                case "SendMessage":
                    self._queue(json.loads(asked["MessageBody"]))
                case "PutRecords":
                    self._stream(_taken(asked["Records"], reply, "Records"))

    def _bus(self, entries: list[Any]) -> None:
        decisions = [entry for entry in entries if entry["DetailType"] in DETAIL_TYPES.values()]
        for detail in (json.loads(entry["Detail"]) for entry in decisions):  # looks are told there too
            said = self.told.setdefault(detail["id"], [])
            if detail not in said:
                said.append(detail)

    def _queue(self, ids: list[str]) -> None:
        for id_ in ids:
            self.told.setdefault(id_, [])

    def _stream(self, records: list[Any]) -> None:
        datas = [base64.b64decode(record["Data"]) for record in records]
        self.landed += len(datas)
        self.rubbish.update(data for data in datas if data in RUBBISH)


def _taken(entries: list[Any], reply: bytes, name: str) -> list[Any]:
    answers = msgspec.json.decode(reply)[name]
    return [e for e, answer in zip(entries, answers, strict=True) if not answer.get("ErrorCode")]
