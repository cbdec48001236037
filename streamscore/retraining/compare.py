"""State Compare: the new model beside the champion on live decisions, by the labels that came for them."""

import time
from typing import Any

import msgspec

from streamscore.promotion import examined
from streamscore.retraining.evaluate import in_words
from streamscore.retraining.place import Run


def compare(run: Run) -> dict[str, Any]:
    """The gate of `streamscore promote`, once the new model was in shadow."""
    version = run.read("Evaluate.json")["version"]
    asked = examined.candidate(run.place, version)
    checks = examined.whole_gate(run.place, asked, time.time_ns() // 1_000_000)
    return {
        "held": all(check.held for check in checks),
        "checks": msgspec.to_builtins(checks),
        "text": in_words(version, checks),
    }
