"""A shift in stream records, through both functions' own code to metrics and the bus; AWS is a few dicts."""

from collections.abc import Iterator
from typing import Any

import pytest

from common import telemetry
from monitor import handler, schedule
from monitor.schedule import Parts
from monitor.spending import Spending
from monitor.store import Store
from monitor.times import WINDOW_S, iso
from scoring.bus import Bus
from tests import quiet_days
from tests.aws_in_dicts import Aws
from tests.decision_images import batch, change
from tests.monitored import publish
from tests.quiet_days import Columns
from tests.shifts import CASES, Case, play_quiet, play_shift

VERDICTS = ("FeaturesDrifted", "ScoreDrifted")


class Watched:
    """The monitor's two functions on such an AWS, with a promoted model of five features."""

    def __init__(self) -> None:
        self.aws = Aws()
        _, pointer = publish(self.aws, "b", quiet_days.trained(), quiet_days.SPEC)
        self.aws.parameters["/stack/champion"] = pointer
        self.store = Store("t", "b", "/stack", (self.aws, self.aws, self.aws))
        self.parts = Parts(self.store, Bus(self.aws, "bus"), Spending(self.aws, "test"))

    def count(self, start_s: int, columns: Columns) -> None:
        records = [change(image, sequence=start_s) for image in quiet_days.images(columns, start_s + 60)]
        state = handler.count_batch(batch(records, start=iso(start_s)), self.store, 0.0)["state"]
        handler.count_batch(batch([], state, start=iso(start_s), final=True), self.store, 0.0)

    def look(self, until_s: int) -> tuple[dict[str, Any], dict[str, float]]:
        """What a run finds, and the verdicts it emits."""
        telemetry.metrics().clear_metrics()
        found = schedule.check(self.parts, schedule.stretch_of({"scheduled_time": iso(until_s + 120)}, 0.0))
        emitted = telemetry.metrics().metric_set
        return found, {name: emitted[name]["Value"][0] for name in VERDICTS}


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    yield Watched()
    telemetry.metrics().clear_metrics()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.shift)
def test_a_shift_is_found_within_two_windows_and_named_once(watched: Watched, case: Case) -> None:
    watched.aws.told.clear()
    play_quiet(case, watched.count)
    quiet, emitted = watched.look(case.until_s - 2 * WINDOW_S)
    assert (quiet["judged"], quiet["found"], quiet["reference"]) == (True, [], "seasonal")
    assert (emitted, watched.aws.told) == (dict.fromkeys(VERDICTS, 0.0), [])
    looks = play_shift(case, watched.count, watched.look)
    for found, emitted in looks:
        assert emitted == {name: float(bool(found["found"]) and name == case.verdict) for name in VERDICTS}
    name, kind = case.finding
    assert f"{name}: {kind}" in looks[-1][0]["found"]
    (told,) = watched.aws.told
    assert f'"features":{case.features}'.replace("'", '"') in told
    assert f"{name}: {kind}" in told
    assert "retraining is advised" not in told
