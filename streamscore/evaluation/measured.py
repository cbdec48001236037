"""What an evaluation finds, as `evaluate --json` writes it. No scikit-learn: the report reads it too."""

import msgspec


class Reliability(msgspec.Struct, frozen=True):
    """Rows of neighbouring scores: their mean score, the share of positives among them, how many they are."""

    predicted: float
    observed: float
    rows: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Precision over recall; reliability in bins of as many rows; scores by label on even bins of [0, 1]."""

    recall: list[float]
    precision: list[float]
    calibration: list[Reliability]
    histogram_edges: list[float]
    negatives: list[int]
    positives: list[int]


class Value(msgspec.Struct, frozen=True):
    """A measure, and the ends of its 95 % interval (None: one day, or nothing to divide by)."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What reaches a threshold. `amount_caught` is the share of the positives' amount, if it is known."""

    threshold: float
    alerts_per_day: Value
    alert_rate: Value
    precision: Value
    recall: Value
    amount_caught: Value | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The same measures of the scores the model was trained to give, and served less trained."""

    roc_auc: float
    average_precision: float
    roc_auc_difference: Value
    average_precision_difference: Value
    largest_difference: float
    flips: int


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows alone say."""

    roc_auc: Value
    average_precision: Value
    card_precision: Value
    card_precision_by_day: list[float]
    defrauded_by_day: list[int]
    brier: Value
    calibration_error: float
    levels: dict[str, Level]
    series: Series


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Measures, of what: `rows` from `since` until before `until`; `known` rows are of entities that were
    known to be defrauded: out of card precision, and by the protocol out of everything. `capacity` is its k.
    """

    version: str
    estimator: str
    protocol: str | None
    since: str
    until: str
    rows: int
    positives: int
    days: int
    known: int
    capacity: int
    measures: Measures
    reference: Reference | None = None
    notes: tuple[str, ...] = ()
