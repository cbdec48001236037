"""What docs/feature-spec.md shows is what happens, and it leaves nothing out."""

import doctest
from pathlib import Path

import pytest

from stream_features.ops import OPS
from stream_features.spec_event import EVENT_KEYS

PAGE = Path(__file__).parents[2] / "docs" / "feature-spec.md"


def test_every_example_of_the_page_runs():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert tried > 30
    assert not failed


@pytest.mark.parametrize("op", OPS)
def test_every_op_has_a_row_and_an_example(op):
    text = PAGE.read_text(encoding="utf-8")
    assert f"| `{op}`" in text or f", `{op}` |" in text
    assert f'op = "{op}"' in text


@pytest.mark.parametrize("key", sorted(EVENT_KEYS | {key for op in OPS.values() for key in op.keys}))
def test_every_key_is_described(key):
    text = PAGE.read_text(encoding="utf-8")
    assert f"| `{key}`" in text or f", `{key}` |" in text
