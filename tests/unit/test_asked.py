"""What a body asks: many bodies are read as each alone, and equal JSON has one digest."""

import json

import pytest

from scoring.asked import Asked, Reader, digest
from scoring.problems import ProblemError
from stream_features.events import decoder
from tests import small_model

NOW_MS = 1_790_000_000_000
SPEC = small_model.spec()
EVENT = {
    "id": "a",
    "at": "2026-09-21T13:00:00Z",
    "card": "c1",
    "terminal": "t1",
    "amount": 12.30,
    "shop": "books",
}
VECTOR = {"features": {name: 1.0 for name in SPEC.feature_names}}
BODIES = [
    json.dumps(body).encode()
    for body in (
        EVENT,
        VECTOR,
        EVENT | {"features": {}},
        EVENT | {"amount": "much"},
        EVENT | {"type": "label", "fraud": True, "label_time": EVENT["at"]},
        {"features": {"nobody": 1}},
        {"features": []},
        VECTOR | {"id": "b"},
        [],
        EVENT | {"id": "é\ud83d\ude00"},
    )
] + [b"", b"\xff", b'{"feat\\u0075res": ' + json.dumps(VECTOR["features"]).encode() + b"}"]


def shown(found: Asked | ProblemError) -> object:
    return found.document() if isinstance(found, ProblemError) else found


def test_many_bodies_are_read_as_each_alone():
    reader, bodies = Reader(SPEC, decoder(SPEC)), BODIES * 3
    alone = [shown(each) for body in bodies for each in reader.read([body], NOW_MS)]
    assert [shown(each) for each in reader.read(bodies, NOW_MS)] == alone
    assert sum(isinstance(each, Asked) for each in alone) == 3 * 5


def test_an_escape_does_not_hide_a_ready_vector():
    plain, escaped = Reader(SPEC, decoder(SPEC)).read([BODIES[1], BODIES[-1]], NOW_MS)
    assert isinstance(plain, Asked)
    assert plain.vector
    assert escaped == plain


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a": 12.30, "b": "x"}', b'{"b":"\\u0078","a":1.23e1}', True),
        (b'{"a": 12.0}', b'{"a":12}', True),
        (b'{"a": {"y": 1, "x": [2, 1]}}', b'{"a":{"x":[2,1],"y":1.0}}', True),
        (b'{"a": 0.1}', b'{"a":"0.1"}', False),
        (b'{"a": [1, 2]}', b'{"a":[2,1]}', False),
        (b'{"a": null}', b"{}", False),
        (b'{"a": 1e400}', b'{"a":null}', False),
        (b'{"a": 123456789012345678901234567890}', b'{"a":123456789012345678901234567891}', False),
        (b'{"a": 9007199254740993}', b'{"a":9007199254740992}', False),
        (b'"\\ud800"', b'"\\ud801"', False),
        (b"\xff", b"\xfe", False),
        (b"[" * 100_000, b"[" * 100_001, False),
    ],
)
def test_bodies_have_one_digest_if_their_json_is_the_same(one, other, same):
    assert (digest(one) == digest(other)) is same
