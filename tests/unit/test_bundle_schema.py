"""The schema of bundle.json says what the code that reads it takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from scoring import bundle as bundles
from scoring.bundle import Bundle
from streamscore.bundle_schema import schema, to_json
from tests import small_model

ROOT = Path(__file__).parents[2]


def valid(document: Any) -> bool:
    return jsonschema.Draft202012Validator(schema()).is_valid(document)


def read(document: Any) -> bool:
    try:
        msgspec.convert(document, Bundle)
    except msgspec.ValidationError:
        return False
    return True


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundles.encode(small_model.bundle()))
    return found


def test_the_schema_that_is_committed_is_up_to_date() -> None:
    written = (ROOT / "schemas" / "bundle.schema.json").read_text(encoding="utf-8")
    assert written == to_json(), "run .venv/bin/python scripts/bundle_schema.py"
    jsonschema.Draft202012Validator.check_schema(schema())


def test_what_train_writes_is_valid() -> None:
    assert valid(document())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model_sha256",), "0" * 63),
        (("spec_sha256",), "X" * 64),
        (("version",), "latest"),
        (("features",), []),
        (("features", 0, "definition"), "none"),
        (("features", 0, "median"), "12"),
        (("features", 0, "kind"), "float"),
        (("score", "counts", 0), -1),
        (("thresholds", "review"), None),
        (("conversion", "flips"), -1),
        (("conversion", "max_difference"), -1e-9),
        (("train", "rows"), 1.5),
        (("metrics", "roc_auc"), "high"),
        (("pickle",), "model.pkl"),
    ],
)
def test_what_is_wrong_is_refused_by_schema_and_code_alike(path: tuple[Any, ...], value: Any) -> None:
    wrong = document()
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert (valid(wrong), read(wrong)) == (False, False)


@pytest.mark.parametrize("name", [*schema()["$defs"]["Bundle"]["required"]])
def test_nothing_may_be_missing(name: str) -> None:
    wrong = document()
    del wrong[name]
    assert not valid(wrong)
