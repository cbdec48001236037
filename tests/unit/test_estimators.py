import warnings

import numpy as np

from streamscore.training.estimators import estimator


def test_what_is_set_besides_the_parameters_makes_no_estimator_warn() -> None:
    made = estimator("sklearn.linear_model.LogisticRegression")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1])
    assert made.random_state is not None
