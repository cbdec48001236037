"""Waiting until a stack has worked off its stream."""

import time
from collections.abc import Callable

from streamscore.progress import Step

PAUSE_S = 0.5
PATIENCE_S = 30.0


def wait_until(
    expected: int,
    finished: Callable[[], int],
    step: Step,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until ``finished()`` reaches ``expected``; False if it has not moved for half a minute.

    The checks that follow say what is missing; waiting longer would not.
    """
    step.expect(expected)
    done, moved_s = 0, clock()
    while done < expected:
        now = finished()
        if now > done:
            step.advance(now - done)
            done, moved_s = now, clock()
        elif clock() - moved_s > PATIENCE_S:
            return False
        else:
            sleep(PAUSE_S)
    return True
