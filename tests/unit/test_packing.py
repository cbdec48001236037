"""Numbers survive packing, and take no more bytes than they need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features.columns import NULL
from stream_features.packing import Runs, cut, pack, pack_tracks, unpack, unpack_tracks

EDGES = [sign * (2**bits + off) for bits in (7, 15, 23, 31, 39, 62) for off in (-1, 0, 1) for sign in (1, -1)]
numbers = st.one_of(st.integers(-300, 300), st.sampled_from([NULL, 2**63 - 1, 0, *EDGES]))
huge = st.one_of(numbers, st.sampled_from([2**63, -(2**63) - 1, 2**106, -(2**106)]))
owners = st.lists(st.lists(numbers, max_size=5), max_size=6)


def packed(values: list[list[int]]) -> Runs:
    flat = [value for own in values for value in own]
    beyond = any(not -(2**63) <= value < 2**63 for value in flat)
    counts = np.array([len(own) for own in values], np.int64)
    return pack(np.array(flat, object if beyond else np.int64), counts)


def bytes_of(runs: Runs) -> list[bytes]:
    sizes = (runs.widths * runs.counts).tolist()
    return [runs.pieces[at] if size else b"" for at, size in zip(runs.at.tolist(), sizes, strict=True)]


@given(owners | st.lists(st.lists(huge, max_size=4), max_size=4))
def test_what_is_packed_comes_back(values):
    assert unpack(packed(values)).tolist() == [value for own in values for value in own]


@given(st.lists(st.lists(huge, max_size=4), min_size=1, max_size=4))
def test_an_owners_bytes_do_not_depend_on_its_neighbours(values):
    together = bytes_of(packed(values))
    assert together == [bytes_of(packed([own]))[0] for own in values]


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
    assert len(bytes_of(packed([values]))[0]) == size


@given(st.lists(st.lists(st.lists(huge, max_size=3), min_size=2, max_size=2), min_size=1, max_size=4))
def test_many_tracks_come_back_together(tracks):
    flat = [[value for own in runs for value in own] for runs in tracks]
    counts = [np.array([len(own) for own in runs], np.int64) for runs in tracks]
    beyond = [any(not -(2**63) <= value < 2**63 for value in values) for values in flat]
    arrays = [np.array(values, object if big else np.int64) for values, big in zip(flat, beyond, strict=True)]
    runs = pack_tracks(arrays, counts)
    by_track = (runs.at.reshape(-1, 2), runs.widths.reshape(-1, 2), runs.counts.reshape(-1, 2))
    assert [track.tolist() for track in unpack_tracks(runs.pieces, *by_track)] == flat


@given(st.lists(st.binary(max_size=20) | st.just(b"long" * 3000), max_size=5))
def test_bytes_are_cut_where_the_sizes_say(pieces):
    assert list(cut(b"".join(pieces), np.array([len(piece) for piece in pieces], np.int64))) == pieces
