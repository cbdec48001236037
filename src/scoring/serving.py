"""Which model scores now: follows the champion pointer without a restart, and never trusts what it has not
verified.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.errors import ModelRefusedError, TransientError
from common.telemetry import count, logger
from scoring import pointers
from scoring.model import Model
from scoring.pointers import CHAMPION, Version

NO_MODEL = "no_model"
MODEL_UNAVAILABLE = "model_unavailable"

REREAD_S = (45.0, 60.0)
"""Pointers are read again after a time drawn from here, so that many environments do not ask at once."""
RETRY_S = (3.0, 5.0)
"""The same where there is no model to score with because something could not be read."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The model in use, or None and the reason why."""

    model: Model | None
    absent: str = NO_MODEL


class Champion:
    """The model in use. All it needs of the world is given: reads of pointers and objects, a clock, a random
    number.

    `read_pointers(names)` gives the values of those that exist; both reads raise TransientError when they
    cannot tell, and `read_object(key)` ModelRefusedError when there is no such object.
    """

    def __init__(
        self,
        read_pointers: Callable[[Sequence[str]], dict[str, str]],
        read_object: Callable[[str], bytes],
        clock_s: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._read_pointers, self._read_object = read_pointers, read_object
        self._clock_s, self._jitter = clock_s, jitter
        self._serving = Serving(None)
        self._followed: str | None = None
        self._read_again_s = float("-inf")

    def current(self) -> Serving:
        """What to score with, after following the pointer if it is time to; never raises what we foresaw."""
        if self._clock_s() >= self._read_again_s:
            settled = self._follow()
            shortest, longest = REREAD_S if settled or self._serving.model else RETRY_S
            self._read_again_s = self._clock_s() + shortest + (longest - shortest) * self._jitter()
        return self._serving

    def _follow(self) -> bool:
        """Read the pointer and obey it. False if that could not be done now, and may be done later."""
        try:
            value = self._read_pointers([CHAMPION]).get(CHAMPION)
        except TransientError as error:
            count("PointerReadFailed")
            logger().warning("pointers not read, kept as they were", extra={"error": str(error)})
            self._stay()
            return False
        if value is None:
            self._serving, self._followed = Serving(None), None
        elif value != self._followed:
            self._followed = value if self._take(value) else None
            return self._followed is not None
        return True

    def _take(self, value: str) -> bool:
        """Take what the pointer names into use; if it is refused the running model stays, or its predecessor
        is tried.
        """
        try:
            pointer = pointers.decode(value)
        except ModelRefusedError as error:
            self._refused(error)
            self._stay()
            return True
        running = self._serving.model
        if running is not None and running.version == pointer.version:
            return True
        return self._swap(
            [pointer.current, *([pointer.previous] if pointer.previous and running is None else [])]
        )

    def _swap(self, candidates: Sequence[Version]) -> bool:
        """Use the first candidate that passes its check. False if one could not be read: it deserves another
        try.
        """
        all_read = True
        for candidate in candidates:
            try:
                self._serving = Serving(self._load(candidate), "")
            except ModelRefusedError as error:
                self._refused(error)
            except TransientError as error:
                all_read = False
                logger().warning("bundle not read", extra={"error": str(error), "version": candidate.version})
            else:
                count("ModelSwapped")
                return all_read
        self._stay()
        return all_read

    def _stay(self) -> None:
        if self._serving.model is None:
            self._serving = Serving(None, MODEL_UNAVAILABLE)

    def _load(self, version: Version) -> Model:
        bundle = self._read_object(pointers.bundle_key(version.version))
        return Model.load(bundle, self._read_object(pointers.model_key(version.version)), version.sha256)

    def _refused(self, error: ModelRefusedError) -> None:
        count("ModelRefused")
        logger().error("model refused", extra={"error": str(error)})
