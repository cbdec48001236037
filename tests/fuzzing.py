"""What reads bytes from outside: targets that take any bytes and let only our own errors out.

`tests/unit/test_fuzzing.py` tries damaged copies of the seeds; `make fuzz` lets atheris, led by coverage,
look for worse.
"""

import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from common.errors import StreamscoreError
from common.records import kinesis_records
from monitor import sketch
from monitor.baseline import layout_of
from scoring import bundle as bundles
from scoring import policy_file
from scoring.model import Model
from stream_features import blob
from stream_features import spec as specs
from stream_features.events import Decoder, decoder
from stream_features.layout import layouts
from stream_features.spec import Spec
from stream_features.state import (
    Item,
    LabelRow,
    Out,
    Row,
    Stored,
    decode_item,
    decode_out,
    encode_item,
    encode_out,
)
from tests import small_model
from tests.exactly_once_streams import NAMES, SPEC, event
from tests.folding import Folding
from tests.small_model import trained
from tests.stream_events import aggregate, kinesis_entry

ROOT = Path(__file__).parents[1]
NOW_MS = 1_764_000_000_000
MANY = 20  # enough for the decoder of batches
POLICY = b"""
fallback = "review"
control_share = 0.01
daily_review_capacity = 100
[thresholds.0123456789abcdef]
review = 0.35
block = 0.90
[lists.stolen]
values = ["4017", { value = "4711", until = 2026-12-31 }]
[[rule]]
name = "large_amount_at_night"
decision = "review"
all = [{ field = "amount", above = 5000 }, { feature = "is_night", equals = 1 }]
[[rule]]
name = "stolen_card"
decision = "block"
override = true
mode = "shadow"
any = [{ entity = "customer", in = "stolen" }]
"""


@functools.cache
def _made(make: Callable[[], list[bytes]]) -> list[bytes]:
    return make()


class Target(NamedTuple):
    """`run` takes any bytes; `seeds` are whole ones to start from."""

    run: Callable[[bytes], object]
    make_seeds: Callable[[], list[bytes]]

    def seeds(self) -> list[bytes]:
        """Made once."""
        return _made(self.make_seeds)


@functools.cache
def _shipped() -> Spec:
    return specs.parse((ROOT / "src/features.toml").read_text())


@functools.cache
def _decoder() -> Decoder:
    return decoder(_shipped())


def records(data: bytes) -> None:
    """A record of the events stream, aggregated or not, through both decoders."""
    found, _ = kinesis_records({"Records": [kinesis_entry(data, 1, NOW_MS)]})
    datas = [record.data for record in found]
    many = _decoder().decode_all(datas * MANY, [NOW_MS] * len(datas) * MANY)
    assert repr(many[: len(datas)]) == repr(_decoder().decode_all(datas[:1], [NOW_MS])) or len(datas) != 1


def _record_seeds() -> list[bytes]:
    shipped = {
        "transaction_id": "t1",
        "event_time": "2026-01-31T23:59:59.999+01:00",
        "customer_id": "0012",
        "terminal_id": 4711,
        "amount": 12.34,
    }
    whole = json.dumps(shipped).encode()
    label = json.dumps(
        {**shipped, "type": "label", "is_fraud": True, "label_time": "2026-02-07T00:00:00Z"}
    ).encode()
    return [whole, label, aggregate(whole, label)]


def spec(data: bytes) -> None:
    """A features.toml."""
    specs.parse(data.decode(errors="replace"))


def policy(data: bytes) -> None:
    """A policy.toml."""
    policy_file.parse(data.decode(errors="replace"))


def out(data: bytes) -> None:
    """The rows of a state item on their way to scoring."""
    decode_out(data)


def _out_seeds() -> list[bytes]:
    row = Row("t1", NOW_MS, NOW_MS, None, ("c", "t"), (1234, None), b"\0\0\x80?")
    return [encode_out(Out(1, "ab", (row,), (LabelRow("t1", True, NOW_MS, NOW_MS, ("c", "t"), NOW_MS),)))]


def item(data: bytes) -> None:
    """A state item: its memory (`s`), its watermarks (`w`, after the last `;`), and the state within."""
    s, _, w = data.rpartition(b";;;;")
    decoded = decode_item(Stored(1, w, s), 1)
    for layout in layouts(SPEC) + layouts(_shipped()):  # the second: as after a change of the spec
        blob.decode(layout, [decoded.blob, b""])


def _item_seeds() -> list[bytes]:
    folding, seeds = Folding(SPEC), []
    for name in NAMES[:12]:
        folding.fold([event(name, ord(name), "C")])
        whole = Item(1, mark=(7, 0), arrival_ms=NOW_MS, ids=b"12345678" * 3, blob=folding.blobs[0, "C"])
        w, s = encode_item(whole, 1, NOW_MS)
        seeds.append(s + b";;;;" + w)
    return seeds


def window(data: bytes) -> None:
    """A sketch in a window's state or item."""
    sketch.decode(layout_of(trained().bundle), data)


def bundle(data: bytes) -> None:
    """A bundle.json."""
    bundles.decode(data)


def graph(data: bytes) -> None:
    """A model.onnx, whose hash the bundle would have to hold."""
    Model(trained().bundle, data)


TARGETS = {
    "records": Target(records, _record_seeds),
    "spec": Target(spec, lambda: [(ROOT / "src/features.toml").read_bytes(), small_model.SPEC.encode()]),
    "policy": Target(policy, lambda: [POLICY]),
    "out": Target(out, _out_seeds),
    "item": Target(item, _item_seeds),
    "window": Target(window, lambda: [sketch.encode(sketch.zero(layout_of(trained().bundle)))]),
    "bundle": Target(bundle, lambda: [bundles.encode(trained().bundle)]),
    "graph": Target(graph, lambda: [trained().model]),
}


def survives(target: Target, data: bytes) -> None:
    """Runs it; any exception but ours comes out."""
    with contextlib.suppress(StreamscoreError):
        target.run(data)
