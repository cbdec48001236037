"""The monitor's looks in a stack whose windows are short: what the schedule does every five minutes."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from monitor import times
from monitor.times import HOUR_S, floor, iso
from streamscore.local.stack import Stack, StackError

WINDOW_S = 5
"""A window of the monitor's, where time is short."""
A_LOOK_S = WINDOW_S * (HOUR_S // times.WINDOW_S)
"""As many windows as a look has: an hour of them is a minute here."""


@contextmanager
def looking(stack: Stack) -> Iterator[None]:
    """Ask for a look whenever a window has ended. StackError if one failed, once the context ends."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_look_on, stack, over)
        try:
            yield
        finally:
            over.set()
        asked.result()


def _look_on(stack: Stack, over: threading.Event) -> None:
    functions, name = stack.client("lambda"), stack.outputs["MonitorScheduleFunctionName"]
    while not over.wait(WINDOW_S):
        until_s = floor(time.time(), WINDOW_S)
        asked = {"since": iso(until_s - A_LOOK_S), "until": iso(until_s)}
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(asked).encode())
        if "FunctionError" in answer:
            raise StackError(f"a look of the monitor failed: {answer['Payload'].read().decode()}")
