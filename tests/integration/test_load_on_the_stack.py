"""`streamscore load` on the whole stack: what it puts is decided, and it ends by itself."""

import json

import pytest

from tests.integration.commands import invoke

pytestmark = pytest.mark.usefixtures("polling")


def test_a_short_burst_is_decided_measured_and_paid() -> None:
    asked = ("--profile", "burst", "--rate", "20", "--for", "2s", "--keys", "50", "--json")
    result = invoke("load", *asked)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["undecided"], found["looked_up"]) == (0, 0, found["events"])
    assert 0 < found["events"] <= 72
    assert found["seconds"] < 10
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["most"]
    assert set(found["iterator_age_ms"]) == {"features", "scoring"}
    assert found["metered_decisions"] >= found["events"]
    assert found["usd_per_million"] > 0


def test_the_prod_stack_is_not_loaded_by_mistake() -> None:
    assert "add --yes" in str(invoke("load", "--stage", "prod").exception)
