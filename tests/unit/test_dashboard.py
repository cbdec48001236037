"""The dashboard: JSON that CloudWatch takes, in the order of the way, showing only what is emitted."""

import json
import re
from typing import Any

from tests.unit.test_alarms import ALARMS, COMPOSITES, SOMETIMES, check_metric, named_in
from tests.unit.transformed_template import resources, source

WIDTH = 24


def body() -> dict[str, Any]:
    """The dashboard with `${Name}` and `${Name.Attribute}` as the name alone."""
    text, _ = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: dict[str, Any] = json.loads(re.sub(r"\$\{([^}.]+)[^}]*\}", r"\1", text))
    return found


def widgets(kind: str) -> list[dict[str, Any]]:
    return [w["properties"] for w in body()["widgets"] if w["type"] == kind]


def written_out(rows: list[list[Any]]) -> list[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of a widget's metrics, with "." and "..." filled in from above."""
    found, above = [], list[str]()
    for row in rows:
        given = [part for part in row if isinstance(part, str)]
        if given[0] == "...":
            given = above[: len(above) - len(given) + 1] + given[1:]
        above = [above[i] if part == "." else part for i, part in enumerate(given)]
        namespace, name, *pairs = above
        found.append((namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))))
    return found


def test_every_metric_shown_is_one_that_somebody_emits() -> None:
    stream = {"Stream": "EventsStream"}
    for widget in widgets("metric"):
        for namespace, name, dimensions in written_out(widget["metrics"]):
            check_metric(namespace, name, {k: stream.get(v, v) for k, v in dimensions.items()})


def test_it_goes_the_way_an_event_goes() -> None:
    titles = [w["markdown"] for w in widgets("text")]
    assert [title.split(" ", 1)[1] for title in titles[1:]] == [
        "1 Events come in",
        "2 Features",
        "3 Scores",
        "4 Decisions",
        "5 Health",
        "6 Drift",
        "7 Cost",
    ]


def test_every_alarm_that_tells_somebody_and_is_always_there_is_on_top() -> None:
    told = {name for name, alarm in (ALARMS | COMPOSITES).items() if "AlarmActions" in alarm}
    say_where = named_in(COMPOSITES["DecisionsLateAlarm"]) - {"BacklogShrinkingAlarm"}
    (shown,) = widgets("alarm")
    assert set(shown["alarms"]) == (told | say_where) - SOMETIMES
    assert len(shown["alarms"]) == len(set(shown["alarms"])) <= 100


def test_rows_are_filled() -> None:
    row = 0
    for widget in body()["widgets"]:
        row += widget["width"]
        assert row <= WIDTH, widget["properties"]
        row %= WIDTH
    assert row == 0


def test_every_name_it_uses_is_one_of_the_template() -> None:
    text, own = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    known = set(resources()) | set(source()["Parameters"]) | set(own)
    used = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
    assert {name for name in used if not name.startswith("AWS::")} <= known


def test_every_chart_says_where_and_how_often_it_looks() -> None:
    for widget in widgets("metric"):
        assert widget["region"] == "AWS::Region"
        assert widget["period"] in (60, 300, 3600)
        assert widget["title"]
