"""One pointer and what it leads to: taken into use once it has passed its check, kept until another has."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from common.errors import InvalidInputError, ModelRefusedError, TransientError
from common.telemetry import count, logger
from scoring import pointers
from scoring.pointers import NOTHING, Version


class Counted(NamedTuple):
    """The metrics of a pointer: something new was taken into use, something was refused."""

    swapped: str
    refused: str


class Followed[T]:
    """What the pointer `name` leads to.

    `load(version)` gives it checked: ModelRefusedError or InvalidInputError if it must not be used,
    TransientError if it could not be read. With `in_reserve` the version before is taken where there is
    nothing in use and the version named cannot be; `last_resort(version)` where that cannot be either.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Version], T],
        counted: Counted,
        *,
        in_reserve: bool = True,
        last_resort: Callable[[Version], T] | None = None,
    ) -> None:
        self.name, self._load, self._counted, self._in_reserve = name, load, counted, in_reserve
        self._last_resort = last_resort
        self._version = NOTHING
        self.in_use: T | None = None
        self.named = True
        """False once the pointer was read and pointed to nothing."""
        self.settled = False
        """Whether asking again soon is of no use: the pointer was obeyed, or what it names was refused."""

    def follow(self, value: str | None) -> None:
        """Obey the pointer's value (None: it was never written). What is refused is tried at every call, so
        that it is counted for as long as it stands and taken as soon as it is mended.
        """
        self.named = self.settled = True
        try:
            pointer = pointers.decode(value) if value is not None else None
        except ModelRefusedError as error:
            self._refuse(error, value="unreadable")
            return
        if pointer is None or pointer.current == NOTHING:
            self.in_use, self._version, self.named = None, NOTHING, False
            return
        if pointer.current == self._version:
            return
        before = [pointer.previous] if pointer.previous not in {None, NOTHING} else []
        spare = before if self._version == NOTHING and self._in_reserve else []
        taken = any(version and self._take(version) for version in (pointer.current, *spare))
        if not taken and self.in_use is None and self._last_resort:
            with suppress(TransientError, ModelRefusedError, InvalidInputError):  # was told just now
                self.in_use = self._last_resort(pointer.current)

    def _take(self, version: Version) -> bool:
        """Take a version into use if it passes its check."""
        try:
            self.in_use = self._load(version)
        except TransientError as error:
            self.settled = False
            count("PointerReadFailed")
            logger().warning(f"{self.name} not read", extra={"error": str(error), "version": version.version})
            return False
        except (ModelRefusedError, InvalidInputError) as error:
            self._refuse(error, version.version)
            return False
        self._version = version
        count(self._counted.swapped)
        logger().info(f"{self.name} taken into use", extra={"version": version.version})
        return True

    def _refuse(self, error: Exception, value: str) -> None:
        count(self._counted.refused)
        logger().error(f"{self.name} refused", extra={"error": str(error), "version": value})
