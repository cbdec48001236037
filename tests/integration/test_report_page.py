"""The report page as people meet it: in a browser, light and dark, wide and narrow, by keyboard, by ear."""

import json
import random
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from streamscore.estimate.bill import bill
from streamscore.estimate.flow import lanes_for
from streamscore.estimate.price_file import parse
from streamscore.estimate.workload import Workload, profile_of
from streamscore.report.page import render
from tests.browser import Opened, chromium, opened
from tests.integration.commands import invoke
from tests.reported import HOSTILE, make_report, nothing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(make_report(), HOSTILE), "utf-8")
    return path


@pytest.fixture(scope="module")
def wide(browser: Browser, file: Path) -> Iterator[Opened]:
    with opened(browser, file) as one:
        yield one


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_wrong(
    browser: Browser, file: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    with opened(browser, file, scheme, width) as one:
        one.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = Axe().run(one.page).response["violations"]
    assert [(rule["id"], rule["impact"], rule["nodes"][0]["target"]) for rule in found] == []


def test_it_asks_for_nothing_but_itself_and_its_console_is_silent(wide: Opened, file: Path) -> None:
    assert wide.requests == [file.as_uri()]
    assert wide.said == []


def test_a_page_of_nothing_asks_for_nothing_and_breaks_nowhere(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "nothing.html"
    file.write_text(render(nothing(), "nothing"), "utf-8")
    with opened(browser, file) as one:
        assert (one.requests, one.said) == ([file.as_uri()], [])


def test_no_text_from_events_is_ever_markup_or_script(wide: Opened) -> None:
    assert wide.page.evaluate("window.pwned") is None
    assert wide.page.locator("img").count() == 0
    assert wide.page.locator("h1").inner_text() == HOSTILE
    assert wide.page.locator("#reasons th[scope=row]").first.text_content() in {HOSTILE, "amount"}
    assert wide.page.locator("#reasons th", has_text="window.pwned").count() >= 2


def test_every_chart_is_drawn_within_its_box_and_told_in_words(wide: Opened) -> None:
    charts = wide.page.locator(".chart")
    assert charts.count() >= 14
    for chart in charts.all():
        assert len(chart.get_attribute("aria-label") or "") > 20
        box, svg = chart.bounding_box(), chart.locator("svg").bounding_box()
        assert box and svg
        assert svg["width"] <= box["width"] + 1
        assert chart.locator("svg path, svg rect, svg circle, svg line").count() > 2


def test_on_a_telephone_nothing_is_wider_than_the_screen(browser: Browser, file: Path) -> None:
    with opened(browser, file, width=390) as one:
        assert one.page.evaluate("document.documentElement.scrollWidth") == 390
        one.page.set_viewport_size({"width": 900, "height": 900})
        one.page.wait_for_function("document.querySelector('[data-chart=cost] svg').clientWidth > 390")


def test_without_scripts_every_number_is_still_there(browser: Browser, file: Path) -> None:
    with opened(browser, file, scripts=False) as one:
        assert one.page.locator("noscript").inner_text().startswith("Charts are drawn by JavaScript")
        assert one.page.locator("table").count() >= 10
        assert one.page.locator("#month").inner_text() == f"${bill(Workload()).total_usd:,.2f}"


def test_dark_is_dark_and_paper_is_white(browser: Browser, file: Path) -> None:
    with opened(browser, file, "dark") as one:
        background = "getComputedStyle(document.body).backgroundColor"
        assert one.page.evaluate(background) == "rgb(19, 23, 27)"
        one.page.emulate_media(media="print", color_scheme="dark")
        assert one.page.evaluate(background) == "rgb(255, 255, 255)"


def test_the_first_tab_stop_skips_to_the_content(browser: Browser, file: Path) -> None:
    with opened(browser, file) as one:
        one.page.keyboard.press("Tab")
        assert one.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        one.page.keyboard.press("Enter")
        assert one.page.evaluate("location.hash") == "#main"


def workloads(count: int) -> list[Workload]:
    """Over all that can be slid, and the corners; and what cannot be slid, in case it is some day."""
    draw = random.Random(5)
    return [
        Workload(
            events_per_s=10 ** draw.uniform(-1, 4.7),
            profile=profile_of([draw.choice([1.0, 2.0, 3.5, 10.0])]),
            labels_share=draw.choice([0.0, 1.0, draw.uniform(0, 2)]),
            flagged_share=draw.choice([0.0, draw.uniform(0, 0.2)]),
            entities_per_event=draw.randint(1, 4),
            entities=int(10 ** draw.uniform(2, 7)),
            shared_entities=int(10 ** draw.uniform(0, 6)),
            state_bytes=draw.choice([0, 700, 787, 788, draw.randint(1, 9_000)]),
            shared_bytes=draw.randint(0, 9_000),
            event_bytes=draw.randint(1, 60_000),
            batch=draw.choice([None, 1.0, float(draw.randint(1, 500))]),
            shards=draw.choice([None, 1, 40]),
            on_demand=draw.random() < 0.5,
            fan_out=draw.random() < 0.5,
            api_per_s=draw.choice([0.0, draw.uniform(0, 1_000)]),
            memory_mb=draw.randint(128, 3_538),
            retention_days=draw.randint(0, 800),
        )
        for _ in range(count)
    ]


def test_the_calculator_computes_what_estimate_computes(wide: Opened) -> None:
    asked = [Workload(), *workloads(400)]
    script = """workloads => {
      const { bill } = estimator(DATA.estimate.constants, DATA.estimate.prices);
      return workloads.map(bill);
    }"""
    found: list[dict[str, Any]] = wide.page.evaluate(script, [asdict(one) for one in asked])
    for workload, month in zip(asked, found, strict=True):
        expected = bill(workload)
        assert month["byComponent"] == pytest.approx(expected.by_component, rel=1e-9), workload
        assert month["perMillion"] == pytest.approx(expected.per_million_usd, rel=1e-9)
        assert month["lanes"] == asdict(lanes_for(workload))


@pytest.mark.parametrize("peak", [1, 1.5, 3.5, 10])
def test_the_calculators_day_is_estimates_day(wide: Opened, peak: float) -> None:
    script = "peak => estimator(DATA.estimate.constants, DATA.estimate.prices).profileOf(peak)"
    assert wide.page.evaluate(script, peak) == pytest.approx(list(profile_of([peak])), rel=1e-9)


def test_sliders_move_by_keyboard_and_the_page_says_which_command_gives_the_same(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file) as one:
        page = one.page
        for name, keys in {
            "events_per_s": ["PageUp"] + ["ArrowRight"] * 3,
            "profile": ["ArrowRight"] * 3,
            "labels_share": ["Home"],
            "state_bytes": ["End"],
            "batch": ["ArrowRight"] * 2,
            "api_per_s": ["PageUp"],
        }.items():
            page.locator(f"#slide-{name}").focus()
            for key in keys:
                page.keyboard.press(key)
        page.get_by_label("Enhanced fan-out").press("Space")
        command, total = page.locator("#command").inner_text(), page.locator("#month").inner_text()
        rows = {row.locator("th").inner_text(): row.locator("td").first.inner_text()
                for row in page.locator("#bill tbody tr").all()}  # fmt: skip
        page.get_by_role("button", name="Back to the defaults").click()
        again = page.locator("#month").inner_text()
    assert "--profile 2.5" in command
    assert command.endswith("--fan-out")
    found = json.loads(invoke(*shlex.split(command)[1:], "--json").stdout)["bill"]
    assert total == f"${found['total_usd']:,.2f}"
    assert rows == {name: f"{usd:,.2f}" for name, usd in found["by_component"].items()}
    assert again == f"${bill(Workload()).total_usd:,.2f}"


def test_the_calculator_takes_the_prices_it_is_given(browser: Browser, tmp_path: Path) -> None:
    table = parse('region = "r"\nas_of = "d"\nsource = "s"\n[prices]\ndynamodb_write_units = 1\n', "t")
    file = tmp_path / "dear.html"
    file.write_text(render(make_report(50), "dear", table), "utf-8")
    with opened(browser, file) as one:
        assert one.page.locator("#month").inner_text() == f"${bill(Workload(), table.prices).total_usd:,.2f}"
