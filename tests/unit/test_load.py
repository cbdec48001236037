"""The load that `streamscore load` makes: its rate, its keys, its events, and its report."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError
from common.settings import code_root
from monitor.cost import cost
from stream_features.events import Event, decoder
from stream_features.spec import Spec, parse
from streamscore.cli._moment import span_within_ms
from streamscore.load.events import Events, Zipf
from streamscore.load.measured import SAMPLE, sample
from streamscore.load.produce import GRACE_S, Clock, Put, produce
from streamscore.load.profiles import BURST, SHAPES, Profile
from streamscore.load.report import Report
from streamscore.producer.stream import Record
from tests.integration.test_put import Quiet

NOW_MS = 1_764_000_000_000
DEFAULT = parse((code_root() / "features.toml").read_text())
ODD = parse("""
[event]
id = "id"
time = "at"
keep = ["amount", "kind"]
[event.fields]
amount = "decimal(4)"
points = "int"
lat = "float"
kind = "string?"
device = "string @ d.id"
ok = "bool?"
whole = "decimal(0)"
[entities]
card = "card"
[[feature]]
name = "n"
entity = "card"
op = "count"
windows = ["1d"]
where = { kind = "ecom" }
""")


# ---- the rate ----


@pytest.mark.parametrize("shape", SHAPES)
@given(
    rate=st.floats(0.5, 5_000),
    length_s=st.floats(1, 3_600),
    parts=st.lists(st.floats(0, 1.2), max_size=8).map(sorted),
)
def test_what_falls_due_grows_from_nothing_to_all(
    shape: str, rate: float, length_s: float, parts: list[float]
) -> None:
    profile = Profile(shape, rate, length_s)
    due = [profile.due(length_s * part) for part in parts]
    assert due == sorted(due)
    assert (profile.due(0), profile.due(length_s), profile.due(2 * length_s)) == (0, *2 * [profile.events])
    mean = (4 + BURST) / 5 if shape == "burst" else 1
    assert profile.events == pytest.approx(rate * length_s * mean, rel=1e-3, abs=1)


def test_a_burst_is_five_times_the_rate_in_the_middle_fifth() -> None:
    profile = Profile("burst", 10.0, 100.0)
    assert [profile.due(at) for at in (40, 60, 100)] == [400, pytest.approx(1_400, abs=1), 1_800]
    assert profile.peak == 50


def test_a_day_is_quiet_at_its_ends_and_busy_at_noon() -> None:
    profile = Profile("daily", 10.0, 240.0)
    by_hour = np.diff([profile.due(at) for at in range(0, 241, 10)])
    assert by_hour.argmax() in (11, 12)
    assert by_hour[0] < 25
    assert by_hour[11] > 175
    assert profile.peak == pytest.approx(18)


class Time:
    """A clock that only the pauses move, and every request by `request_s`."""

    def __init__(self, request_s: float) -> None:
        self.now_s, self.request_s = 0.0, request_s
        self.requests: list[tuple[float, Sequence[Record]]] = []

    def put(self, request: Sequence[Record]) -> None:
        self.requests.append((self.now_s, request))
        self.now_s += self.request_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


def put_in(time: Time, profile: Profile) -> Put:
    events = Events(DEFAULT, "e", 100, 1.0)
    return produce(time.put, events, profile, Quiet(), Clock(lambda: time.now_s, time.pause))


@pytest.mark.parametrize("shape", SHAPES)
def test_events_are_put_when_they_are_due_and_each_once(shape: str) -> None:
    time, profile = Time(0.001), Profile(shape, 200.0, 10.0)
    put = put_in(time, profile)
    ids = [json.loads(record.data)["transaction_id"] for _, request in time.requests for record in request]
    assert ids == [f"e-{n}" for n in range(profile.events)]
    assert put.events == profile.events
    at_half = sum(len(request) for at_s, request in time.requests if at_s <= 5.0)
    assert at_half == pytest.approx(profile.due(5.0), abs=0.2 * profile.peak)
    assert put.took_s == pytest.approx(10.0, abs=0.2)


def test_a_stream_that_is_too_slow_gets_what_fits_into_the_time() -> None:
    time = Time(1.0)
    put = put_in(time, Profile("steady", 2_000.0, 10.0))
    assert put.took_s <= 10.0 + GRACE_S + 1.0
    assert put.events == sum(len(request) for _, request in time.requests) <= 12 * 500
    assert put.rate == pytest.approx(500, rel=0.1)
    assert put.behind > 10_000


# ---- keys and events ----


@pytest.mark.parametrize("skew", [0.0, 1.1, 2.0])
def test_keys_follow_zipfs_law(skew: float) -> None:
    drawn = np.array(Zipf(50, skew).draw(np.random.default_rng(1), 200_000))
    expected = np.arange(1, 51) ** -skew
    share = np.bincount(drawn, minlength=50) / len(drawn)
    assert share == pytest.approx(expected / expected.sum(), abs=0.004)


@pytest.mark.parametrize("spec", [DEFAULT, ODD], ids=["default", "odd"])
def test_events_are_such_as_the_spec_takes(spec: Spec) -> None:
    records = list(Events(spec, "run", 100, 1.1).made(7, 300, NOW_MS))
    decoded = decoder(spec).decode_all([record.data for record in records], [NOW_MS] * 300)
    assert all(isinstance(one, Event) for one in decoded), decoded
    events = [one for one in decoded if isinstance(one, Event)]
    assert [one.id for one in events] == [f"run-{n}" for n in range(7, 307)]
    assert [record.key for record in records] == [one.entities[0] for one in events]
    assert len({one.entities[-1] for one in events}) > 5
    if spec is ODD:
        kinds = [one.kept[1] for one in events]
        assert {"ecom", None} == set(kinds)
        assert all(len(set(column)) > 1 for column in zip(*(one.values for one in events), strict=True))


# ---- the report ----


def test_the_last_event_is_among_those_looked_up() -> None:
    for events in (1, 2, SAMPLE, SAMPLE + 1, 10 * SAMPLE + 7):
        found = sample(events)
        assert len(found) == min(events, SAMPLE)
        assert (found[0], found[-1]) == (0, events - 1)


def test_a_report_says_what_was_reached_and_what_is_not_known() -> None:
    metered = cost({("scoring", "DecisionsMade"): 100, ("scoring", "LogsCostUSD"): 0.0001})
    profile = Profile("burst", 10.0, 10.0)
    whole = Report(profile, Put(180, 10.0, 9), 4, [100, 200, 300, 400], {"features": 70}, metered)
    found = whole.as_json()
    assert (found["achieved_rate"], found["peak_rate"], found["undecided"]) == (18.0, 50.0, 0)
    assert found["latency_ms"] == {"p50": 250, "p90": 370, "p99": 397, "most": 400}
    assert found["usd_per_million"] == 1.0
    text = "\n".join(whole.lines())
    assert "p50 250, p90 370, p99 397, most 400 (of 4 events)" in text
    assert "features 70" in text
    assert "$1.0000 per million" in text

    nothing = Report(profile, Put(180, 10.0, 9), 4, [], {}, cost({}))
    text = "\n".join(nothing.lines())
    assert "nothing was decided" in text
    assert "4 of 4 looked up are not decided" in text
    assert json.loads(json.dumps(nothing.as_json()))["usd_per_million"] is None


@pytest.mark.parametrize("text", ["", "60", "0s", "7h", "-1s", "1s2", "tomorrow"])
def test_a_span_is_refused_that_is_none_or_out_of_bounds(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--for .*write a span from 1s to 6h"):
        span_within_ms(text, "--for", (1_000, 6 * 3_600_000))
