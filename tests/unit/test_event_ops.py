import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features import timezones
from stream_features.columns import Columns
from stream_features.event_ops import answer
from stream_features.events import Event
from stream_features.spec import parse
from tests import oracle_event

ZONES = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Monrovia",
]
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
CHANGES = {  # UTC moments at which clocks are changed
    "Europe/Paris": "2024-03-31T01:00",
    "America/New_York": "2024-11-03T06:00",
    "Australia/Lord_Howe": "2024-10-05T15:30",
    "Africa/Monrovia": "1972-01-07T00:44:30",
}


def blocks():
    for zone in ZONES:
        for op in ("hour", "weekday", "is_weekend"):
            yield f'name = "{op}_{zone[-4:]}"\nop = "{op}"\ntimezone = "{zone}"'
        yield f'name = "night_{zone[-4:]}"\nop = "hour_between"\nhours = [22, 5]\ntimezone = "{zone}"'
    yield 'name = "hour"\nop = "hour"'
    yield 'name = "morning"\nop = "hour_between"\nhours = [6, 6]'
    for field in ("amount", "lat", "n", "flag"):
        yield f'name = "{field}"\nop = "value"\nof = "{field}"'
        yield f'name = "log_{field}"\nop = "log1p"\nof = "{field}"\ndefault = -7'
    yield 'name = "is_ecom"\nop = "one_of"\nof = "kind"\nvalues = ["ecom", "phone"]'
    yield 'name = "is_ten"\nop = "one_of"\nof = "amount"\nvalues = [10, 0.1, -3.25]'
    yield 'name = "is_small"\nop = "one_of"\nof = "n"\nvalues = [0, 1, -1]'
    yield 'name = "is_true"\nop = "one_of"\nof = "flag"\nvalues = [true]'


SPEC = parse(
    """\
[event]
id = "id"
time = "at"
fields = { amount = "decimal(2)?", lat = "float?", n = "int?", flag = "bool?", kind = "string?" }
[entities]
card = "card_id"
"""
    + "".join(f"[[feature]]\n{block}\n" for block in blocks())
)


def at(moment):
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000


def times():
    edges = [at(moment) for moment in CHANGES.values()]
    near = st.builds(int.__add__, st.sampled_from(edges), st.integers(-2, 2) | st.integers(-DAY_MS, DAY_MS))
    hours = st.builds(lambda hour, ms: hour * HOUR_MS + ms, st.integers(1, 600_000), st.integers(-1, 1))
    return near | hours | st.integers(0, 2**41)


@st.composite
def events(draw):
    exact = st.integers(-(2**53), 2**53)
    values = (
        draw(st.none() | exact | st.sampled_from([1000, 10, -325, -100, -99, 0])),
        draw(st.none() | st.floats(-(2.0**53), 2.0**53) | st.sampled_from([-1.0, -0.5, 0.0, 1e-12])),
        draw(st.none() | exact | st.integers(-2, 2)),
        draw(st.none() | st.booleans()),
        draw(st.none() | st.sampled_from(["ecom", "phone", "ECOM", "", "shop"])),
    )
    return Event("e", 1, draw(times()), 0, None, ("c",), values, ())


@given(st.lists(events(), min_size=1, max_size=20))
def test_every_op_of_the_event_alone_is_what_its_definition_says(found):
    columns = Columns.from_records(SPEC, found)
    for feature in SPEC.features:
        answers = answer(SPEC, feature, columns, np.arange(len(found)))
        expected = [oracle_event.alone(SPEC, feature, event) for event in found]
        if feature.op == "log1p":
            np.testing.assert_allclose(answers, expected, rtol=4e-16, err_msg=feature.name)
        else:
            np.testing.assert_array_equal(answers, expected, err_msg=feature.name)


@pytest.mark.parametrize(("zone", "moment"), CHANGES.items())
def test_a_clock_is_changed_at_the_very_millisecond(zone, moment):
    change_ms = at(moment)
    before, after = timezones.local_ms(np.array([change_ms - 1, change_ms]), zone)
    assert after - before != 1
    assert abs(int(after - before)) <= HOUR_MS + 1


def test_local_time_is_zoneinfos_over_the_years_in_every_zone():
    moments = np.arange(0, at("2040-01-01T00:00"), 331 * DAY_MS + 7 * HOUR_MS + 1)
    for zone in timezones.names():
        local, table = timezones.local_ms(moments, zone), timezones.zone(zone)
        for moment, shown in zip(moments.tolist(), local.tolist(), strict=True):
            clock = datetime.fromtimestamp(moment / 1000, UTC).astimezone(table).replace(tzinfo=UTC)
            assert round(clock.timestamp() * 1000) == shown, (zone, moment)


def test_zones_come_from_the_package_whatever_the_machine_has(monkeypatch):
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    timezones.zone.cache_clear()
    assert timezones.local_ms(np.array([0]), "Europe/Paris").tolist() == [HOUR_MS]


def test_utc_is_what_a_feature_without_a_timezone_has():
    by_name = {feature.name: feature for feature in SPEC.features}
    assert by_name["hour_UTC"].hash == by_name["hour"].hash != by_name["hour_aris"].hash


def test_the_logarithm_of_what_is_not_above_minus_one_is_missing():
    event = Event("e", 1, 0, 0, None, ("c",), (-100, -1.0, -1, None, None), ())
    columns = Columns.from_records(SPEC, [event])
    logs = [feature for feature in SPEC.features if feature.op == "log1p"]
    assert all(math.isnan(answer(SPEC, feature, columns, np.array([0]))[0]) for feature in logs)


def test_a_zone_is_one_of_the_packages_own():
    assert isinstance(timezones.zone("Asia/Tokyo"), ZoneInfo)
    assert {"UTC", "Europe/Paris", "America/Argentina/Ushuaia"} <= timezones.names()
