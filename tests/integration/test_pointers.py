"""Pointers in a parameter store: what going back returns to, what is remembered, and two moves at once."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from common.errors import InvalidInputError, ModelRefusedError, TransientError
from scoring import pointer_moves
from scoring.pointers import CHALLENGER, CHAMPION, NOTHING, POLICY, Version
from streamscore.training.pointers import back, history, instead, point, promote, read


@pytest.fixture
def ssm(client: Callable[[str], Any]) -> Any:
    return client("ssm")


@pytest.fixture
def prefix() -> str:
    return f"/streamscore/{uuid.uuid4().hex[:8]}"


def version(name: str) -> Version:
    return Version(name, name * 8)


A, B, C, D = (version(name) for name in "abcd")


def test_going_back_twice_goes_two_back(ssm: Any, prefix: str) -> None:
    for one in (A, B, C):
        point(ssm, prefix, one, "newer")
    assert [back(ssm, prefix, "bad").current for _ in range(2)] == [B, A]
    with pytest.raises(InvalidInputError, match="no earlier version"):
        back(ssm, prefix, "bad")
    assert read(ssm, prefix).current == A


def test_what_was_left_by_going_back_is_not_what_a_cold_start_falls_back_on(ssm: Any, prefix: str) -> None:
    for one in (A, B, C):
        point(ssm, prefix, one, "newer")
    assert back(ssm, prefix, "bad").previous == A


def test_a_move_after_going_back_remembers_what_was_there(ssm: Any, prefix: str) -> None:
    for one in (A, B):
        point(ssm, prefix, one, "newer")
    back(ssm, prefix, "bad")
    moved = point(ssm, prefix, C, "mended")
    assert (moved.previous, moved.earlier) == (A, ())


def test_what_is_remembered_is_bounded_and_fits_the_parameter(ssm: Any, prefix: str) -> None:
    many = [Version(f"{n:016x}", f"{n:064x}") for n in range(pointer_moves.EARLIER + 5)]
    for one in many:
        moved = point(ssm, prefix, one, "r" * 1500)
    assert (moved.previous, *moved.earlier) == tuple(reversed(many[3:-1]))
    with pytest.raises(InvalidInputError, match="too long"):
        point(ssm, prefix, A, "r" * 4000)


@pytest.mark.parametrize("name", [CHALLENGER, POLICY])
def test_before_the_first_challenger_or_policy_there_was_nothing(ssm: Any, prefix: str, name: str) -> None:
    point(ssm, prefix, A, "first", name)
    assert back(ssm, prefix, "bad", name).current == NOTHING
    with pytest.raises(InvalidInputError, match="no earlier version"):
        back(ssm, prefix, "bad", name)


def test_before_the_first_champion_there_is_no_going_back(ssm: Any, prefix: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="no earlier version"):
            back(ssm, prefix, "bad")
        point(ssm, prefix, A, "first")


def test_instead_leaves_what_was_before(ssm: Any, prefix: str) -> None:
    for one in (A, B):
        point(ssm, prefix, one, "newer", POLICY)
    moved = instead(ssm, prefix, C, "force", POLICY)
    assert (moved.previous, moved.earlier) == (A, (NOTHING,))


def test_every_move_is_in_the_history_with_its_reason(ssm: Any, prefix: str) -> None:
    assert history(ssm, prefix) == []
    point(ssm, prefix, A, "first")
    promote(ssm, prefix, B, "in a hurry", ("coverage",))
    ssm.put_parameter(Name=f"{prefix}/{CHAMPION}", Value="latest", Type="String", Overwrite=True)
    point(ssm, prefix, A, "mended")
    found = [(move.version, move.reason, move.forced, move.back) for move in history(ssm, prefix)]
    assert found == [
        ("a", "mended", (), False),
        ("b", "in a hurry", ("coverage",), False),
        ("a", "first", (), False),
    ]


def test_what_is_no_pointer_is_replaced_but_not_gone_back_from(ssm: Any, prefix: str) -> None:
    ssm.put_parameter(Name=f"{prefix}/{CHAMPION}", Value="latest", Type="String")
    with pytest.raises(ModelRefusedError, match="is no pointer"):
        back(ssm, prefix, "bad")
    assert point(ssm, prefix, A, "mended").current == A


class Meanwhile:
    """An SSM client; somebody else moves the pointer between its first read and what follows."""

    def __init__(self, ssm: Any, somebody: Callable[[], Any]) -> None:
        self._ssm, self._somebody = ssm, somebody

    def get_parameter(self, **request: Any) -> Any:
        try:
            return self._ssm.get_parameter(**request)
        finally:
            somebody, self._somebody = self._somebody, lambda: None
            somebody()

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._ssm, operation)


@pytest.mark.parametrize("before", [(), (A,), (A, B)])
def test_of_two_moves_at_once_the_first_stands_and_the_second_is_told(
    ssm: Any, prefix: str, before: tuple[Version, ...]
) -> None:
    for one in before:
        point(ssm, prefix, one, "newer")
    theirs = Meanwhile(ssm, lambda: point(ssm, prefix, C, "theirs"))
    with pytest.raises(TransientError, match="somebody else moved it"):
        point(theirs, prefix, D, "mine")
    left = read(ssm, prefix)
    assert (left.current, left.reason) == (C, "theirs")
    assert [back(ssm, prefix, "bad").current for _ in before] == [*reversed(before)]


def test_going_back_while_somebody_promotes_leaves_what_they_promoted(ssm: Any, prefix: str) -> None:
    for one in (A, B):
        point(ssm, prefix, one, "newer")
    with pytest.raises(TransientError, match="somebody else moved it"):
        back(Meanwhile(ssm, lambda: point(ssm, prefix, C, "theirs")), prefix, "bad")
    assert read(ssm, prefix).current == C
