"""What an entry does while Lambda initialises it: the model is there before the first event is.

INIT has 10 s; past them Lambda starts over inside the first invocation, with the function's own timeout.
Under SnapStart all this happens before the snapshot, and what must be new in every environment that is made
of it is renewed when it is restored.
"""

import gc
import os
import random
from collections.abc import Callable, Mapping

from common.errors import StreamscoreError
from common.snapshot import after_restore
from common.telemetry import init_ended, logger
from scoring.wiring import Wiring


def load_early(
    entry: str,
    wiring: Callable[[], Wiring],
    *others: Callable[[], object],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """In the process whose handler lies in the module `entry`, make the wiring and what `others` make, and
    follow the pointers; in any other, where the module is merely imported, do nothing.

    What was made is left out of garbage collection from then on: each full one would look through all of it,
    26 ms CPU seen in the middle of an answer, and none of it is ever garbage.

    What goes wrong here goes wrong again at the first invocation, or has passed by then: nothing is raised
    that we foresaw.
    """
    if environ.get("_HANDLER", "").rpartition(".")[0] != entry:
        return
    try:
        serving = wiring().serving
        for make in others:
            make()
        serving.current()
        if serving.wanting():
            serving.expire()  # the first invocation tries once more
        after_restore(serving.expire, environ)
        after_restore(random.seed, environ)  # or all would draw the same pauses and pointer times
    except (StreamscoreError, OSError) as error:
        logger().warning("not loaded early", extra={"error": str(error)})
    gc.freeze()
    init_ended()
