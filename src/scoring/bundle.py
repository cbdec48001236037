"""A bundle: what a model is, beside `model.onnx` itself. Pure; any doubt about the bytes is a
ModelRefusedError.

`bundle.json` names the model by the sha256 of its bytes and itself by the hash of its own content
(`version`), so a folder, an S3 prefix and a pointer that carry the same version carry the same model.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from common.errors import ModelRefusedError

FORMAT = 1
MODEL_FILE, BUNDLE_FILE = "model.onnx", "bundle.json"
VERSION_DIGITS = 16


Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Hash = Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{VERSION_DIGITS}}}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Length = Annotated[float, msgspec.Meta(ge=0.0)]
Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one variable was distributed in training.

    With n edges there are n + 2 counts: below the first edge, one a bin [e0, e1) … [en-2, en-1] (only the
    last bin holds its upper edge), above the last edge, missing (NaN). `mean` and `std` are of the values
    that are there.
    """

    edges: tuple[float, ...]
    counts: tuple[Count, ...]
    mean: float = 0.0
    std: Length = 0.0


class Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of the model: its name and definition hash in the spec, its training median (None: never
    present).
    """

    name: str
    definition: Hash
    median: float | None
    baseline: Baseline


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A score at or above `review` is reviewed, at or above `block` blocked."""

    review: float
    block: float


class Period(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows with `since` <= event time < `until` (RFC 3339, UTC), and how many of them are labelled
    positive.
    """

    since: Moment
    until: Moment
    rows: Count
    positives: Count


class Conversion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The proof that ONNX Runtime gives the scores of what was trained, over `rows` rows."""

    rows: Count
    max_difference: Length
    flips: Count


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `bundle.json`. `score` is the baseline of the scores over the test period; `train` is
    None if the model was trained elsewhere.

    The version is the hash of everything else, so a field that is added must be left out where it is not
    known (UNSET): with a default it would change the version of every bundle that is registered.
    """

    format: int = FORMAT
    version: Hash = ""
    estimator: str
    spec_sha256: Sha256
    model_sha256: Sha256
    features: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)]
    score: Baseline
    thresholds: Thresholds
    train: Period | None
    test: Period
    metrics: dict[str, float]
    conversion: Conversion


_decoder = msgspec.json.Decoder(Bundle)


def sha256(data: bytes) -> str:
    """The hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def seal(bundle: Bundle) -> Bundle:
    """The bundle with its version: the first 16 hex digits of the sha256 of everything else in it."""
    return msgspec.structs.replace(bundle, version=_content_version(bundle))


def encode(bundle: Bundle) -> bytes:
    """`bundle.json`: the same bytes for the same bundle."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def decode(data: bytes, expected_sha256: str | None = None) -> Bundle:
    """The bundle in these bytes; ModelRefusedError if they are not the expected ones or not a whole
    bundle.
    """
    if expected_sha256 is not None and sha256(data) != expected_sha256:
        raise ModelRefusedError(
            f"{BUNDLE_FILE}: sha256 is {sha256(data)}, the pointer says {expected_sha256}"
        )
    try:
        bundle = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelRefusedError(f"{BUNDLE_FILE}: {error}") from error
    if bundle.format != FORMAT:
        raise ModelRefusedError(f"{BUNDLE_FILE}: format {bundle.format}, this code reads {FORMAT}")
    if bundle.version != _content_version(bundle):
        raise ModelRefusedError(f"{BUNDLE_FILE}: its content is not that of version {bundle.version}")
    for period in filter(None, (bundle.train, bundle.test)):
        _check_moment(period.since)
        _check_moment(period.until)
    return bundle


def _check_moment(written: str) -> None:
    try:
        zone = datetime.fromisoformat(written).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ModelRefusedError(f"{BUNDLE_FILE}: {written!r} is no RFC 3339 time with a zone")


def check_model(bundle: Bundle, model: bytes) -> None:
    """ModelRefusedError unless these bytes are the model the bundle speaks of."""
    if sha256(model) != bundle.model_sha256:
        raise ModelRefusedError(
            f"{MODEL_FILE}: sha256 is {sha256(model)} ({len(model)} bytes), "
            f"bundle {bundle.version} says {bundle.model_sha256}"
        )


def columns(bundle: Bundle, names: Sequence[str], definitions: Sequence[str]) -> list[int] | None:
    """Where the model's features lie in a vector of the spec with these features, in the model's order.

    None if the spec lacks one, or has one of that name with another definition.
    """
    place = {feature: n for n, feature in enumerate(zip(names, definitions, strict=True))}
    found = [place.get((feature.name, feature.definition)) for feature in bundle.features]
    return None if None in found else [n for n in found if n is not None]


def unserved(bundle: Bundle, names: Sequence[str], definitions: Sequence[str]) -> list[str]:
    """The model's features that a spec with these does not serve, or not by the same definition."""
    served = dict(zip(names, definitions, strict=True))
    return [feature.name for feature in bundle.features if served.get(feature.name) != feature.definition]


def trained_until(bundle: Bundle) -> str:
    """When what it learned from ended; for a model trained elsewhere, when what it was proven on began."""
    return bundle.train.until if bundle.train else bundle.test.since


def _content_version(bundle: Bundle) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(bundle, version="")))[:VERSION_DIGITS]
