"""The process that owns a local stack, and ends all of it when it is told to end.

    python -m streamscore.local.supervisor OPTIONS_AS_JSON

In the state folder it writes stack.json when it is ready, or error.txt saying why it cannot be.
"""

import fcntl
import gc
import json
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from common.errors import StreamscoreError
from streamscore.local.assembly import Assembly, assemble
from streamscore.local.emulator import REGION, Emulator
from streamscore.local.folder import ERROR_FILE, LOCK_FILE, PROCESSES_FILE, STACK_FILE, Options
from streamscore.local.processes import ProcessIdentity

log = logging.getLogger(__name__)


def main(options: Options) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    state_dir = Path(options.state_dir)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        with (state_dir / LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _run(options, state_dir, over)
    except BlockingIOError:
        (state_dir / ERROR_FILE).write_text("another stack is coming up here; wait for it, or end it")
        return 2
    except StreamscoreError as error:
        (state_dir / ERROR_FILE).write_text(str(error))
        return 2
    return 0


def _run(options: Options, state_dir: Path, over: threading.Event) -> None:
    """Bring it up, wait, and end everything, the emulator last; on an error nothing is left either."""
    _record_processes(state_dir, os.getpid())

    def on_emulator(emulator: Emulator) -> None:
        _record_processes(state_dir, os.getpid(), emulator.process.pid)
        threading.Thread(target=_watch, args=(emulator, over), name="emulator-watch", daemon=True).start()

    with ExitStack() as exits:
        assembly = assemble(options, exits, on_emulator)
        exits.callback((state_dir / STACK_FILE).unlink, missing_ok=True)
        gc.freeze()  # what is there now stays: looked through again, it would hold answers up by 0.1 s
        _tell_ready(state_dir, options.name, assembly)
        over.wait()
        over.set()


def _watch(emulator: Emulator, over: threading.Event) -> None:
    code = emulator.process.wait()
    if not over.is_set():
        log.error("the emulator ended with code %d; ending too", code)
        over.set()


def _record_processes(state_dir: Path, *pids: int) -> None:
    """For the next `up`, should we be killed where children do not die with their parent.

    Function processes need no record: without us their Runtime API is gone, and they exit.
    """
    identities = [asdict(ProcessIdentity.of(pid)) for pid in pids]
    (state_dir / PROCESSES_FILE).write_text(json.dumps(identities))


def _tell_ready(state_dir: Path, name: str, assembly: Assembly) -> None:
    document = {
        "name": name,
        "region": REGION,
        **asdict(assembly),
        "supervisor": asdict(ProcessIdentity.of(os.getpid())),
    }
    beside = state_dir / f"{STACK_FILE}.new"
    beside.touch(mode=0o600)  # it holds the hub's secret
    beside.write_text(json.dumps(document, indent=1))
    beside.replace(state_dir / STACK_FILE)


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
