"""Estimators by their import path and parameters, and back again as words."""

import importlib
import inspect
import json
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.ensemble import BaseEnsemble, RandomForestClassifier

from common.errors import InvalidInputError
from streamscore.training.classifier import Classifier, knows_missing, named

THREADS = 2
SEED = 0
_SUCH_AS = "give an import path such as sklearn.linear_model.LogisticRegression"


def forest() -> Any:
    """The default: scikit-learn's random forest of 100 trees. It splits on exact values and knows missing
    ones.
    """
    return RandomForestClassifier(n_estimators=100, random_state=SEED, n_jobs=THREADS)


def estimator(path: str, params: str = "{}") -> Any:
    """The estimator at an import path (sklearn.linear_model.LogisticRegression) with parameters in JSON.

    Its seed is SEED unless given, so training it twice gives the same. InvalidInputError says what cannot be.
    """
    module, _, name = path.rpartition(".")
    given = _parameters(params)
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"--estimator {path}: {error}; {_SUCH_AS}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise InvalidInputError(f"--estimator {path}: is no scikit-learn estimator; {_SUCH_AS}")
    try:
        made: Any = kind(**given)
    except TypeError as error:
        raise InvalidInputError(f"--params: {path}: {error}") from error
    known = made.get_params()
    usual = {"random_state": SEED}
    if issubclass(kind, BaseEnsemble):  # elsewhere threads are of no use, or deprecated
        usual["n_jobs"] = THREADS
    return made.set_params(
        **{key: value for key, value in usual.items() if key in known and key not in given}
    )


def _parameters(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"--params: not JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidInputError('--params: must be an object, such as {"n_estimators": 200}')
    return given


def describe(classifier: Classifier, calibration: str | None) -> str:
    """How to make it again: import path, the parameters that are not its defaults, the steps around it."""
    made = classifier.estimator
    signature = inspect.signature(type(made).__init__).parameters
    changed = {
        key: value
        for key, value in made.get_params(deep=False).items()
        if key != "n_jobs" and (key not in signature or value != signature[key].default)
    }
    words = [f"{named(made)}({', '.join(f'{key}={value!r}' for key, value in sorted(changed.items()))})"]
    if not knows_missing(made):
        words.append("missing values as median and indicator, standard scale")
    if classifier.positive_weight != 1:
        weight = classifier.positive_weight
        words.append("balanced classes" if weight is None else f"positives weigh {weight:g}")
    if calibration is not None:
        words.append(f"{calibration} calibration")
    return "; ".join(words)
