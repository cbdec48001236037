"""Following the pointers: what is in use has passed its check, and is what the pointers name once they can be
read.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ModelRefusedError, TransientError
from scoring import bundle as bundles
from scoring.model import Model
from scoring.pointers import (
    CHALLENGER,
    CHAMPION,
    NOTHING,
    POLICY,
    Pointer,
    Version,
    bundle_key,
    decode,
    encode,
    model_key,
    policy_key,
)
from scoring.policy_file import parse
from scoring.serving import MODEL_UNAVAILABLE, NO_MODEL, Pointers, Serving, Shipped, pauses
from streamscore.training.train import Trained
from tests import small_model
from tests.profiles import examples

SHIPPED = parse('fallback = "review"')
GOOD = ("a", "b")


@functools.cache
def published() -> dict[str, dict[str, Version]]:
    """Two good versions of each kind; `wrong` has the hash of nothing, `absent` is not there."""
    found: dict[str, dict[str, Version]] = {"models": {}, "policies": {}}
    for seed, name in enumerate(GOOD):
        made = small_model.trained(seed)
        sha256 = bundles.sha256(bundles.encode(made.bundle))
        found["models"][name] = Version(made.bundle.version, sha256)
        text = policy_text(name)
        found["policies"][name] = Version(parse(text).version, hashlib.sha256(text.encode()).hexdigest())
    for kind in found.values():
        kind["wrong"] = Version(kind["a"].version, "0" * 64)
        kind["absent"] = Version("0" * 16, "0" * 64)
        kind["unserved"] = kind["absent"]
        kind["nothing"] = NOTHING
    found["models"]["unserved"] = Version(
        unserved().bundle.version, bundles.sha256(bundles.encode(unserved().bundle))
    )
    return found


@functools.cache
def unserved() -> Trained:
    """A whole model that asks for a feature which the spec here defines otherwise."""
    made = small_model.trained(0)
    first = msgspec.structs.replace(made.bundle.features[0], definition="0" * 16)
    other = msgspec.structs.replace(made.bundle, features=(first, *made.bundle.features[1:]))
    return dataclasses.replace(made, bundle=bundles.seal(other))


def policy_text(name: str) -> str:
    return f'fallback = "block" # {name}'


@functools.cache
def objects() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for seed, name in enumerate(GOOD):
        made = small_model.trained(seed)
        found[bundle_key(made.bundle.version)] = bundles.encode(made.bundle)
        found[model_key(made.bundle.version)] = made.model
        found[policy_key(published()["policies"][name].version)] = policy_text(name).encode()
    found[bundle_key(unserved().bundle.version)] = bundles.encode(unserved().bundle)
    found[model_key(unserved().bundle.version)] = unserved().model
    return found


@dataclass
class World:
    """A parameter store and a bucket that can fail, and a clock."""

    values: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    ssm_answers: bool = True
    s3_answers: bool = True
    now_s: float = 0.0
    reads: int = 0

    def read_pointers(self, names: Sequence[str]) -> dict[str, str]:
        self.reads += 1
        if not self.ssm_answers:
            raise TransientError("throttled")
        return {name: value for name, value in self.values.items() if name in names}

    def read_object(self, key: str) -> bytes:
        if not self.s3_answers:
            raise TransientError("503")
        if key not in objects():
            raise ModelRefusedError("no such object")
        return b"{" if key in self.broken else objects()[key]

    def pointers(self, jitter: Callable[[], float] = lambda: 0.0) -> Pointers:
        return Pointers(
            self.read_pointers,
            self.read_object,
            Shipped(small_model.spec(), SHIPPED),
            lambda: self.now_s,
            pauses(60.0, jitter),
        )

    def point(self, name: str, to: str, before: str | None = None) -> None:
        kind = published()["policies" if name == POLICY else "models"]
        previous = kind[before] if before else None
        self.values[name] = encode(Pointer(kind[to].version, kind[to].sha256, previous))


def versions(serving: Serving) -> tuple[str | None, str | None, str]:
    model, challenger = serving.model, serving.challenger
    return (
        model.version if model else None,
        challenger.version if challenger else None,
        serving.policy.version,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Mostly moves of one pointer, mostly looked at; now and then something breaks or mends."""
    often = draw(st.sampled_from([CHAMPION, CHALLENGER, POLICY]))
    names = st.sampled_from([often] * 4 + [CHAMPION, CHALLENGER, POLICY])
    targets = st.sampled_from([*GOOD, *GOOD, "wrong", "absent", "unserved", "nothing"])
    move = st.tuples(st.just("point"), names, targets, st.none() | targets)
    kinds = st.sampled_from(["models", "policies"])
    event = (
        st.tuples(st.sampled_from(["garble", "remove"]), names)
        | st.tuples(st.sampled_from(["break", "mend"]), kinds, st.sampled_from(GOOD))
        | st.tuples(st.sampled_from(["ssm", "s3"]), st.booleans())
    )
    turns = draw(
        st.lists(
            st.tuples(move | move | event, st.sampled_from([True, True, False])), min_size=8, max_size=20
        )
    )
    return [step for turn, looked in turns for step in ([turn, ("look",)] if looked else [turn])]


@settings(max_examples=examples(100))
@given(steps=histories())
def test_whatever_happens_only_what_passed_is_in_use_and_it_is_what_the_pointers_name(
    steps: list[tuple[object, ...]],
) -> None:
    world, expected = World(), dict.fromkeys((CHAMPION, CHALLENGER, POLICY), NOTHING)
    following = world.pointers()
    for step in [*steps, ("ssm", True), ("s3", True), ("look",)]:
        if step[0] == "look":
            following.expire()
            foretell(world, expected)
            check(following.current(), expected)
        else:
            happen(world, step)


def happen(world: World, step: tuple[object, ...]) -> None:
    match step:
        case ("point", str(name), str(to), before):
            world.point(name, to, None if before is None else str(before))
        case ("garble", str(name)):
            world.values[name] = "latest"
        case ("remove", str(name)):
            world.values.pop(name, None)
        case ("break", str(kind), str(which)):
            version = published()[kind][which].version
            world.broken.add(model_key(version) if kind == "models" else policy_key(version))
        case ("mend", str(kind), str(which)):
            version = published()[kind][which].version
            world.broken -= {model_key(version), policy_key(version)}
        case ("ssm", bool(answers)):
            world.ssm_answers = answers
        case ("s3", bool(answers)):
            world.s3_answers = answers


def foretell(world: World, expected: dict[str, Version]) -> None:
    """What must be in use of each pointer after it was followed."""
    for name in expected if world.ssm_answers else ():
        if name not in world.values:
            expected[name] = NOTHING
        elif world.values[name] != "latest":
            expected[name] = followed(world, name, expected[name])


def followed(world: World, name: str, running: Version) -> Version:
    """What the pointer names if it passes; else, with nothing proper running, the one before; and champion,
    with nothing at all, a whole model of other features.
    """
    pointer, odd = decode(world.values[name]), published()["models"]["unserved"]
    if pointer.current == NOTHING or (pointer.current == running and running != odd):
        return pointer.current
    if passes(world, name, pointer.current):
        return pointer.current
    spare = pointer.previous
    if running in (NOTHING, odd) and name != CHALLENGER and spare and passes(world, name, spare):
        return spare
    if running == NOTHING and name == CHAMPION and pointer.current == odd and world.s3_answers:
        return odd
    return running


def passes(world: World, name: str, version: Version) -> bool:
    kind = "policies" if name == POLICY else "models"
    keys = {model_key(version.version), policy_key(version.version)}
    whole = version in [published()[kind][which] for which in GOOD] and not keys & world.broken
    return whole and world.s3_answers


def check(serving: Serving, expected: dict[str, Version]) -> None:
    champion, challenger, policy = (expected[name].version for name in (CHAMPION, CHALLENGER, POLICY))
    beside = challenger if challenger != champion else ""
    assert versions(serving) == (champion or None, beside or None, policy or SHIPPED.version)
    assert (serving.absent == "") == bool(champion)


@pytest.mark.parametrize("to", ["wrong", "absent", "unserved"])
def test_a_cold_start_on_a_bad_champion_takes_the_one_before(to: str) -> None:
    world = World()
    world.point(CHAMPION, to, before="b")
    assert versions(world.pointers().current())[0] == published()["models"]["b"].version


def test_a_model_of_other_features_serves_only_where_there_is_no_other() -> None:
    world = World()
    world.point(CHAMPION, "unserved", before="absent")
    following = world.pointers()
    odd = published()["models"]["unserved"].version
    assert versions(following.current())[0] == odd
    world.point(CHAMPION, "wrong", before="unserved")
    following.expire()
    assert versions(following.current())[0] == odd
    world.point(CHAMPION, "unserved", before="b")
    following.expire()
    assert versions(following.current())[0] == published()["models"]["b"].version


def test_why_there_is_no_model() -> None:
    world = World()
    assert world.pointers().current().absent == NO_MODEL
    world.ssm_answers = False
    assert world.pointers().current().absent == MODEL_UNAVAILABLE
    world.ssm_answers = True
    world.point(CHAMPION, "absent")
    assert world.pointers().current().absent == MODEL_UNAVAILABLE
    world.point(CHAMPION, "nothing")
    assert world.pointers().current().absent == NO_MODEL


def test_a_bad_challenger_never_disturbs_the_champion_and_none_stands_in_for_it() -> None:
    world = World()
    world.point(CHAMPION, "a")
    world.point(CHALLENGER, "wrong", before="b")
    assert versions(world.pointers().current())[:2] == (published()["models"]["a"].version, None)


@pytest.mark.parametrize(("jitter", "again_s"), [(0.0, 45.0), (1.0, 60.0), (0.5, 52.5)])
def test_all_pointers_are_read_at_once_every_45_to_60_s(jitter: float, again_s: float) -> None:
    world = World()
    following = world.pointers(lambda: jitter)
    for now_s, reads in [(0.0, 1), (again_s - 0.01, 1), (again_s, 2), (again_s + 1, 2)]:
        world.now_s = now_s
        following.current()
        assert world.reads == reads


@pytest.mark.parametrize("what", ["ssm", "champion", "policy"])
def test_what_is_needed_and_could_not_be_read_is_asked_for_again_soon(what: str) -> None:
    world = World(ssm_answers=what != "ssm", s3_answers=False)
    if what != "ssm":
        world.point(what, "a")
    following = world.pointers(lambda: 1.0)
    for now_s, reads in [(0.0, 1), (4.9, 1), (5.0, 2)]:
        world.now_s = now_s
        following.current()
        assert world.reads == reads


def test_unreadable_pointers_keep_what_is_in_use_and_wait_their_time() -> None:
    world = World()
    for name in (CHAMPION, CHALLENGER, POLICY):
        world.point(name, "b" if name == CHALLENGER else "a")
    following = world.pointers()
    before = following.current()
    world.ssm_answers, world.now_s = False, 45.0
    assert following.current() == before
    world.now_s = 89.9
    following.current()
    assert world.reads == 2


def test_a_model_in_use_is_not_opened_again() -> None:
    world = World()
    world.point(CHAMPION, "a")
    following = world.pointers()
    first = following.current().model
    world.point(CHAMPION, "a", before="b")
    following.expire()
    assert following.current().model is first
    assert isinstance(first, Model)


def test_what_was_withdrawn_and_is_named_again_comes_back() -> None:
    world = World()
    following = world.pointers()
    for to, version in [("a", published()["models"]["a"].version), ("nothing", None)] * 2:
        world.point(CHAMPION, to)
        following.expire()
        assert versions(following.current())[0] == version


def test_while_something_is_in_use_the_one_before_does_not_stand_in() -> None:
    world = World()
    world.point(CHAMPION, "a")
    following = world.pointers()
    following.current()
    world.point(CHAMPION, "absent", before="b")
    following.expire()
    assert versions(following.current())[0] == published()["models"]["a"].version
