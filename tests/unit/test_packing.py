"""Numbers survive packing, and take no more bytes than they need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features.columns import NULL
from stream_features.packing import pack, unpack

EDGES = [sign * (2**bits + off) for bits in (7, 15, 23, 31, 39, 62) for off in (-1, 0, 1) for sign in (1, -1)]
numbers = st.one_of(st.integers(-300, 300), st.sampled_from([NULL, 2**63 - 1, 0, *EDGES]))
huge = st.one_of(numbers, st.sampled_from([2**63, -(2**63) - 1, 2**106, -(2**106)]))
owners = st.lists(st.lists(numbers, max_size=5), max_size=6)


def packed(values: list[list[int]]) -> tuple[np.ndarray, list[bytes], np.ndarray]:
    flat = [value for own in values for value in own]
    beyond = any(not -(2**63) <= value < 2**63 for value in flat)
    counts = np.array([len(own) for own in values], np.int64)
    return (*pack(np.array(flat, object if beyond else np.int64), counts), counts)


def unpacked(widths: np.ndarray, parts: list[bytes], counts: np.ndarray) -> list[int]:
    starts = np.full(len(parts), 3, np.int64)
    return unpack([b"abc" + part + b"z" for part in parts], starts, widths, counts).tolist()


@given(owners | st.lists(st.lists(huge, max_size=4), max_size=4))
def test_what_is_packed_comes_back(values):
    assert unpacked(*packed(values)) == [value for own in values for value in own]


@given(st.lists(st.lists(huge, max_size=4), min_size=1, max_size=4))
def test_an_owners_bytes_do_not_depend_on_its_neighbours(values):
    together = packed(values)[1]
    assert together == [packed([own])[1][0] for own in values]


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ([0, 0, 0], 0),
        ([1, -127], 2),
        ([NULL], 1),
        ([128], 2),
        ([-128], 2),
        ([2**15], 3),
        ([2**23], 4),
        ([2**31], 5),
        ([2**39], 8),
        ([2**63], 16),
    ],
)
def test_the_largest_number_sets_the_width(values, size):
    assert len(packed([values])[1][0]) == size
