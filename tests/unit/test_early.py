"""What INIT made is never garbage, and is not looked through again."""

import gc
from collections.abc import Iterator
from typing import Any, cast

import pytest

from scoring.early import load_early
from scoring.wiring import Wiring


class Ready:
    """Serving that has all it needs."""

    serving: Any = property(lambda self: self)

    def current(self) -> None:
        """Nothing to follow."""

    def wanting(self) -> bool:
        return False

    def expire(self) -> None:
        """Nothing to read again."""


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("module", "frozen"), [("scoring.api", True), ("monitor.handler", False)])
def test_only_the_entrys_own_process_leaves_what_init_made_out_of_garbage_collection(
    module: str, frozen: bool
) -> None:
    made = [[] for _ in range(10_000)]  # type: list[list[int]]
    load_early("scoring.api", lambda: cast(Wiring, Ready()), environ={"_HANDLER": f"{module}.handler"})
    assert (gc.get_freeze_count() >= len(made)) is frozen
