"""What an evaluation looks at: scored events with labels, by day and by who they are about."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """A column each: days since 1970 (UTC), numbers of the primary entity, labels, scores, amounts (or
    None).
    """

    days: Ints
    entities: Ints
    labels: Labels
    scores: Scores
    amounts: Scores | None = None

    def only(self, mask: Labels) -> Self:
        """The rows where `mask` holds."""
        columns = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: c[mask] for name, c in columns.items() if c is not None})
