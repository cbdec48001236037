"""What a long replay remembers of all values it has met: which ids, and a number for each entity."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stream_features.columns import text_hash

Hashes = NDArray[np.uint64]


class Ids:
    """The event ids met so far, 8 bytes each.

    They are told apart by 64-bit hashes: among n events some new one is taken for a repeat with odds of about
    n² / 2^65, one in 370,000 for ten million events.
    """

    def __init__(self) -> None:
        self._runs: list[Hashes] = []  # sorted; each at least twice as long as the next

    def new(self, ids: pl.Series) -> pl.Series:
        """Which of `ids` (nulls excluded) are met for the first time; from now on they all have been."""
        hashes = ids.hash().to_numpy()
        ordered = np.sort(hashes)
        repeated = [np.isin(hashes, hits) for run in self._runs if len(hits := _common(run, ordered))]
        if not repeated and not np.any(ordered[1:] == ordered[:-1]):
            fresh = pl.repeat(True, len(ids), eager=True)
        else:
            fresh = ids.is_first_distinct() & ~pl.Series(np.logical_or.reduce([hashes < 0, *repeated]))
        self._add(ordered)
        return fresh

    def _add(self, run: Hashes) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")  # merges two sorted runs
        self._runs.append(run)


class Values:
    """Numbers from 0 for the values of one entity."""

    def __init__(self) -> None:
        self._kind = pl.Categorical(pl.Categories.random())
        self._alive = pl.Series([], dtype=pl.String).cast(self._kind)  # without any series numbers begin anew
        self._names = [pl.Series([], dtype=pl.String)]
        self._hashes, self._hashed = np.empty(0, np.int64), 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def codes(self, values: pl.Series) -> NDArray[np.int32]:
        """The number of each value."""
        categories = values.cast(self._kind)
        codes = categories.to_physical()
        new = categories.filter(codes >= self._count).unique()
        if len(new):
            by_code = pl.DataFrame({"code": new.to_physical(), "name": new.cast(pl.String)}).sort("code")
            self._names.append(by_code["name"])
            self._count += len(new)
        return codes.to_numpy().astype(np.int32)

    def hashes(self) -> NDArray[np.int64]:
        """The kernel's hash of each value, by number."""
        names = [name for some in self._names[self._hashed :] for name in some.to_list()]
        self._hashed = len(self._names)
        self._hashes = np.concatenate([self._hashes, np.array([text_hash(name) for name in names], np.int64)])
        return self._hashes

    def names(self) -> pl.Series:
        """The values by their numbers."""
        return pl.concat(self._names)


def _common(run: Hashes, ordered: Hashes) -> Hashes:
    """Those of `ordered` that occur in `run`; both are sorted."""
    if not len(run):
        return run
    at = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
    common: Hashes = ordered[run[at] == ordered]
    return common
