"""Damaged bytes bring out our own errors only."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import TARGETS, survives
from tests.profiles import examples

damages = st.lists(
    st.tuples(st.integers(0, 2**20), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=4
)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(place=st.integers(0, 2**20), damages=damages)
def test_damaged_bytes_bring_out_our_own_errors_only(name, place, damages):
    seeds = TARGETS[name].seeds()
    data = seeds[place % len(seeds)]
    for at, length, piece in damages:
        start = at % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    survives(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_whole_bytes_are_read(name):
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)
