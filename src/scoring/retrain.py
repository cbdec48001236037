"""How a stack retrains itself: when, on what data, and what a new model has to show. Pure data."""

from typing import NamedTuple


class Retrain(NamedTuple):
    """`quality` is the least score of a file that may teach, `drift` the least PSI of one that does so alone.

    `gain` is how much average precision a new model must add on the held-out weeks; `agreement` the least
    share of events whose served vector and backfilled one are equal, bit for bit. A run waits `settle_s` for
    more reasons, and `cool_down_s` after the one before. A new model is in shadow until `shadow_labels` came
    for what it scored, at most `shadow_s`, and is watched for `probation_s` once it decides. `options` are
    passed on to `streamscore train`.
    """

    quality: float = 0.8
    drift: float = 0.15
    gain: float = 0.0
    agreement: float = 0.99
    settle_s: int = 60
    cool_down_s: int = 6 * 3_600
    shadow_s: int = 24 * 3_600
    shadow_labels: int = 1_000
    probation_s: int = 24 * 3_600
    options: tuple[str, ...] = ("--train", "28d")
