"""Asks of a running stack all that its functions are there for, with values that can be found again.

Good and bad records on the stream, every route of the HTTP API with good and bad requests, a published
policy, the hourly look. What is marked as CANARIES stands for a card number and an amount.
"""

import itertools
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamscore.local.stack import Stack
from tests.conftest import poll_until

CUSTOMER, TERMINAL, AMOUNT = "4929-canary-1172", "terminal-canary-88", 918273.64
CANARIES = ("4929-canary", "terminal-canary", "918273.64", "91827364", "918273")
REVIEW_ALL = """
fallback = "approve"
[[rule]]
name = "everything"
decision = "review"
all = [{ field = "amount", above = 0 }]
"""
_numbers = itertools.count()


def event(time: str, **changed: Any) -> dict[str, Any]:
    """An event of the spec that ships, under an id of its own."""
    made = {"transaction_id": f"exercise-{next(_numbers)}", "event_time": time, "amount": AMOUNT}
    return made | {"customer_id": CUSTOMER, "terminal_id": TERMINAL} | changed


def broken(now: str) -> list[bytes]:
    """Records that can never be applied."""
    records = [
        event(now, amount="many 918273.64"),
        event(now, amount=None),
        event("2199-01-01T00:00:00Z"),
        {"customer_id": CUSTOMER, "amount": AMOUNT},
    ]
    return [*(json.dumps(record).encode() for record in records), b'{"customer_id": "4929-canary, and no end']


BROKEN = len(broken(""))


def exercise(stack: Stack, folder: Path, now: str, streamscore: Callable[..., str]) -> None:
    """All of it. `now` is a time of event that the spec takes; `streamscore` runs a command on the stack."""
    policy = folder / "review-all.toml"
    policy.write_text(REVIEW_ALL, encoding="utf-8")
    streamscore("policy", "publish", str(policy))
    # A process looks at the pointer once a minute; on a fast machine only a new one does so in time.
    for process in stack.stats()["processes"].get(stack.outputs["MonitorWindowsFunctionName"], ()):
        os.kill(process, signal.SIGKILL)
    streamed = event(now)
    kinesis, stream = stack.client("kinesis"), stack.outputs["EventsStreamName"]
    for data in (json.dumps(streamed).encode(), *broken(now)):
        kinesis.put_record(StreamName=stream, Data=data, PartitionKey=CUSTOMER)
    stack.drain()

    def asked(path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{stack.outputs['HttpApiUrl']}{path}", data) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    assert asked("/predict", streamed)[1]["source"] == "stream"
    poll_until(
        lambda: "everything" in asked("/predict", event(now))[1]["rules"], "the policy decides", within_s=60
    )
    status, told = asked("/batch-predict", {"events": [event(now), event(now, amount="918273.64 or so")]})
    assert status == 200
    assert ["error" in one for one in told["results"]] == [False, True]
    assert asked("/events", event(now))[0] == 202
    assert asked(f"/decisions/{streamed['transaction_id']}")[0] == 200
    assert asked("/health")[0] == 200
    assert asked("/predict", event(now, customer_id=None))[0] == 422
    assert asked("/predict", b'{"customer_id": "4929-canary')[0] in {400, 422}
    assert asked("/decisions/4929-canary")[0] == 404
    stack.drain()
    function = stack.outputs["MonitorScheduleFunctionName"]
    on_the_hour = json.dumps({"scheduled_time": f"{now[:13]}:02:00Z"})
    answer = stack.client("lambda").invoke(FunctionName=function, Payload=on_the_hour)
    assert "FunctionError" not in answer
