import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_features.derived import fill
from stream_features.spec import parse
from tests import oracle_event

HEAD = """\
[event]
id = "id"
time = "at"
fields = { amount = "decimal(2)", n = "int" }
[entities]
card = "card_id"
"""
PLAIN = """
[[feature]]
name = "twice"
op = "ratio"
of = "share"
to = "gap"
default = -1
[[feature]]
name = "share"
op = "ratio"
of = "amount"
to = "n"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "gap"
op = "difference"
of = "share"
to = "amount"
default = 0.1
[[feature]]
name = "n"
op = "value"
of = "n"
[[feature]]
name = "z"
op = "zscore"
of = "amount"
to = "gap"
std = "n"
"""
SPEC = parse(HEAD + PLAIN)
NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1.0, 3.0, math.nan]
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=1))
def test_derived_features_are_what_their_definitions_say_in_the_order_of_what_they_read(rows):
    features = np.full((len(rows), len(SPEC.features)), np.nan, np.float32)
    features[:, SPEC.feature_names.index("amount")] = [row[0] for row in rows]
    features[:, SPEC.feature_names.index("n")] = [row[1] for row in rows]
    before, is_event = features.copy(), np.array([row[2] for row in rows])
    fill(SPEC, is_event, features)
    expected = [_expected(row) if event else row for row, event in zip(before, is_event, strict=True)]
    np.testing.assert_array_equal(features, np.array(expected))


def _expected(row):
    by_name = dict(zip(SPEC.feature_names, row, strict=True))
    for name in ("share", "gap", "twice", "z"):
        feature = SPEC.features[SPEC.feature_names.index(name)]
        by_name[name] = oracle_event.with_default(feature, oracle_event.derived(feature, by_name))
    return list(by_name.values())


def test_a_division_by_zero_is_missing_and_then_the_default_holds():
    features = np.array([[9, 9, 5, 9, 0, 9]], np.float32)
    fill(SPEC, np.array([True]), features)
    found = dict(zip(SPEC.feature_names, features[0].tolist(), strict=True))
    assert math.isnan(found["share"]) and math.isnan(found["z"])
    assert found["gap"] == np.float32(0.1) and found["twice"] == -1


def test_a_spec_without_derived_features_leaves_the_vector_alone():
    spec = parse(HEAD + '[[feature]]\nname = "n"\nop = "value"\nof = "n"\n')
    features = np.array([[3]], np.float32)
    fill(spec, np.array([True]), features)
    assert features.tolist() == [[3.0]]


def test_the_rows_of_labels_stay_as_they_are():
    features = np.full((2, len(SPEC.features)), np.nan, np.float32)
    fill(SPEC, np.array([False, True]), features)
    assert np.isnan(features[0]).all()
    assert features[1, SPEC.feature_names.index("gap")] == np.float32(0.1)
