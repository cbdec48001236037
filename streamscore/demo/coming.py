"""Payments still to come, as the stretch of the moment has them: it may change while they flow."""

import threading
from collections.abc import Iterator

import numpy as np
import polars as pl

from streamscore.demo.wave import Stretch, calm

AT_A_TIME = 20
"""So many have one stretch: at a hundred a second, a change is seen at once."""


class Coming:
    """`payments` are rows as `read_events` gives them. What was given is remembered: a backfill of it is what
    the stack must hold.
    """

    def __init__(self, payments: pl.DataFrame, seed: int) -> None:
        self._payments, self._random = payments, np.random.default_rng(seed)
        self._over = threading.Event()
        self.stretch: Stretch = calm
        self.given: list[pl.DataFrame] = []

    def frames(self) -> Iterator[pl.DataFrame]:
        """The payments in their order, until `end` or until none is left."""
        for start in range(0, self._payments.height, AT_A_TIME):
            if self._over.is_set():
                return
            some = self.stretch(self._payments.slice(start, AT_A_TIME), self._random)
            self.given.append(some)
            yield some

    def end(self) -> None:
        """Give no more."""
        self._over.set()
