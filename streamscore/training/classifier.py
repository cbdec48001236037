"""Any scikit-learn classifier as one that takes rows as they are served: float32, NaN where missing."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from common.errors import InvalidInputError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

CALIBRATIONS = ("isotonic", "sigmoid")
FOLDS = 5
GRID, OFF_GRID = 1e6, 0.4142
"""Before calibration probabilities are floored to a millionth, shifted off the fractions that trees give, so
that sums in another order, a last bit apart, are one probability to a calibrator that may have steps."""


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """`estimator` between explicit steps, the same for training, calibration and the graph.

    An estimator that knows missing values gets the rows as they are. Every other one gets float64 rows whose
    missing values are the training median, with a column that says where one was missing, in standard
    scale. Positives weigh `positive_weight`; None is as much as makes both classes weigh the same.
    """

    def __init__(self, estimator: Any, positive_weight: float | None = 1.0) -> None:
        self.estimator = estimator
        self.positive_weight = positive_weight

    def fit(self, rows: Floats, labels: Labels) -> Self:
        """Learn from float32 rows; one BLAS thread, so that sums are made in one order."""
        numbers = labels.astype(np.int64)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = rows.shape[1]
        self.preparation_ = None if knows_missing(self.estimator) else preparation().fit(rows.astype(float))
        with threadpool_limits(1, user_api="blas"):
            self.fitted_ = clone(self.estimator).fit(self._prepared(rows), numbers, **self._weights(labels))
        if "n_jobs" in self.fitted_.get_params():  # threads answer in any order, and sums follow it
            self.fitted_.set_params(n_jobs=1)
        return self

    def predict_proba(self, rows: Floats) -> Doubles:
        """P(negative), P(positive) of each row."""
        answered: Doubles = self.fitted_.predict_proba(self._prepared(rows)).astype(np.float64)
        return answered

    def decision_function(self, rows: Floats) -> Doubles:
        """What is calibrated: the log-odds of P(positive), within a millionth of 0 and 1."""
        floored = np.floor(self.predict_proba(rows)[:, 1] * GRID + OFF_GRID) / GRID
        bounded = np.clip(floored, 1 / GRID, 1 - 1 / GRID)
        odds: Doubles = np.log(bounded / (1 - bounded))
        return odds

    def predict(self, rows: Floats) -> npt.NDArray[np.int_]:
        """The likelier class; scikit-learn's cross-validation asks for this."""
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(int)

    def _prepared(self, rows: Floats) -> npt.NDArray[np.floating[Any]]:
        return rows if self.preparation_ is None else self.preparation_.transform(rows.astype(float))

    def _weights(self, labels: Labels) -> dict[str, Doubles]:
        weight = self.positive_weight
        if weight is None:
            weight = float((~labels).sum() / labels.sum())
        return {} if weight == 1 else {"sample_weight": np.where(labels, weight, 1.0)}


def preparation() -> Pipeline:
    """Median and an indicator for missing values, then standard scale."""
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler())


def knows_missing(estimator: Any) -> bool:
    """Whether it takes NaN."""
    return bool(get_tags(estimator).input_tags.allow_nan)


def fit_classifier(unfitted: Classifier, calibration: str | None, rows: Floats, labels: Labels) -> Any:
    """The fitted classifier, or a CalibratedClassifierCV around it.

    The calibrator learns from answers about rows that the model had not seen (FOLDS blocks of time),
    unweighted; the model then learns from all rows. InvalidInputError if the estimator will not have it.
    """
    _refuse_unusable(unfitted, calibration, labels)
    made: Any = unfitted
    if calibration is not None:
        made = CalibratedClassifierCV(
            unfitted, method=calibration, cv=StratifiedKFold(FOLDS), ensemble=False, n_jobs=1
        )
    try:
        return made.fit(rows, labels)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"{named(unfitted.estimator)} cannot be trained: {_line(error)}") from error


def parts(fitted: Any) -> tuple[Classifier, Any]:
    """The classifier and its calibrator (None: not calibrated)."""
    if isinstance(fitted, Classifier):
        return fitted, None
    pair = fitted.calibrated_classifiers_[0]
    return pair.estimator, pair.calibrators[0]


def named(estimator: Any) -> str:
    """The import path of an estimator's class, as a user writes it."""
    return f"{type(estimator).__module__.partition('._')[0]}.{type(estimator).__qualname__}"


def _refuse_unusable(unfitted: Classifier, calibration: str | None, labels: Labels) -> None:
    estimator = unfitted.estimator
    if not is_classifier(estimator):
        raise InvalidInputError(f"{named(estimator)} is not a scikit-learn classifier")
    if not hasattr(estimator, "predict_proba"):
        raise InvalidInputError(f"{named(estimator)} gives no probabilities (predict_proba); choose another")
    if unfitted.positive_weight != 1 and not has_fit_parameter(estimator, "sample_weight"):
        raise InvalidInputError(f"{named(estimator)} takes no sample weights; leave out --positive-weight")
    if calibration is not None and min(labels.sum(), (~labels).sum()) < FOLDS:
        raise InvalidInputError(
            f"calibration needs at least {FOLDS} rows of either kind in the train window; "
            f"it holds {int(labels.sum())} positive of {labels.size}"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
