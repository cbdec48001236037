"""How long work tells what it is doing; the command line decides what that looks like."""

from contextlib import AbstractContextManager
from typing import Protocol


class Step(Protocol):
    """One piece of work under way."""

    def expect(self, total: int) -> None:
        """How much there is to do, once that is known."""

    def advance(self, amount: int) -> None:
        """That much more is done."""

    def note(self, text: str) -> None:
        """What came of it, said when the step ends."""


class Progress(Protocol):
    """Someone who listens."""

    def step(self, name: str, unit: str = "") -> AbstractContextManager[Step]:
        """Begin a step; it ends with the context. ``unit`` names what `Step.advance` counts."""
