import hashlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features.portable_math import exp2_minus, log1p


def exactly(function, *arguments):
    with localcontext(prec=60):
        return function(*(Decimal(argument) for argument in arguments))


def relative_error(found, expected):
    with localcontext(prec=60):
        return abs(float((Decimal(float(found)) - expected) / expected))


def two_to_minus(y):
    return (-y * Decimal(2).ln()).exp()


def log_of_one_more(x):
    """ln(1 + x), by its series where x is too small for 60 digits to tell 1 + x from 1."""
    return (1 + x).ln() if abs(x) > Decimal("1e-30") else x - x * x / 2


@given(st.floats(0, 1021.99))
def test_exp2_minus_is_within_4e_16_of_the_truth(y):
    assert relative_error(exp2_minus(y), exactly(two_to_minus, y)) < 4e-16


@given(st.floats(-0.999999, 2.0**53).filter(bool).filter(lambda x: abs(x) > 1e-300))
def test_log1p_is_within_an_ulp_of_the_truth(x):
    assert relative_error(log1p(x), exactly(log_of_one_more, x)) < 2.3e-16


@pytest.mark.parametrize("edge", [-0.29, 0.41, 2**0.5 - 1, 2**0.5 / 2 - 1, 1.0, 3.0, -0.5])
def test_log1p_has_no_step_where_its_method_changes(edge):
    for x in (np.nextafter(edge, -2), edge, np.nextafter(edge, 9)):
        assert relative_error(log1p(float(x)), exactly(log_of_one_more, float(x))) < 4e-16


@given(st.lists(st.floats(0, 2000) | st.sampled_from([0.0, 0.5, 1.5, 1021.5, 1022.0]), min_size=1))
def test_exp2_minus_has_the_same_bits_for_a_float_and_in_an_array(ys):
    assert exp2_minus(np.array(ys)).tolist() == [exp2_minus(y) for y in ys]


@given(st.lists(st.floats(-0.99, 2.0**53), min_size=1))
def test_log1p_has_the_same_bits_for_a_float_and_in_an_array(xs):
    assert log1p(np.array(xs)).tolist() == [log1p(x) for x in xs]


def test_halves_are_exact():
    assert exp2_minus(np.arange(1022.0)).tolist() == [2.0**-n for n in range(1022)]


@pytest.mark.parametrize("y", [1022.0, 1e9, float("inf")])
def test_what_is_too_small_for_a_normal_float_is_zero(y):
    assert exp2_minus(y) == 0.0
    assert exp2_minus(np.array([y]))[0] == 0.0


def test_what_has_no_logarithm_is_nan():
    assert np.isnan(log1p(np.array([-1.0, -2.0, np.nan, np.inf, -np.inf]))).all()
    assert np.isnan(exp2_minus(np.array([np.nan]))).all()
    assert np.isnan(exp2_minus(float("nan")))


def test_an_empty_array_stays_empty():
    assert exp2_minus(np.empty(0)).shape == log1p(np.empty(0)).shape == (0,)


def test_the_bits_are_these_on_every_machine():
    """A machine that answers otherwise would train and serve different numbers."""
    ys, xs = np.arange(4000) / 96, np.arange(-900, 4000) / 1009
    answers = exp2_minus(ys).tobytes() + log1p(xs).tobytes()
    assert hashlib.sha256(answers).hexdigest() == BITS


BITS = "dea9032f278936b23d7513608850107ede69bc1ee55d053541bf6a2cfdbd6ce0"
