"""The report page as text: what it holds, what it leaves out, what it may not contain."""

import hashlib
import json
import math
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from common.errors import InvalidInputError
from streamscore.evaluation.measured import Value
from streamscore.report import evaluation_figures
from streamscore.report import page as pages
from streamscore.report.content import Count, Report
from streamscore.report.page import render
from streamscore.report.parts import number, percent, span
from streamscore.report.verdicts import verdicts
from tests.reported import HOSTILE, data_of, make_report, nothing, some_drift, some_evaluation

VENDOR = Path(pages.__file__).parent / "vendor"


def test_charts_and_tables_are_made_of_the_same_numbers() -> None:
    report = make_report()
    html = render(report, "t")
    assert data_of(html) == json.loads(msgspec.json.encode(report))
    assert report.drift
    for row in report.drift.comparison.rows:
        for value in (row.psi, row.psi_noise, row.jensen_shannon, row.kolmogorov_smirnov):
            assert f">{number(value, 3)}<" in html
    for month in report.months:
        assert f">{number(month.labels.roc_auc.value, 3)}<" in html
        assert f">{percent(month.labels.recall)}<" in html
    for usd in (*report.cost.by_component_usd.values(), report.cost.total_usd, report.cost.wasted_usd):
        assert f">{number(usd, 8)}<" in html


def test_an_evaluation_is_shown_with_its_measures_thresholds_and_every_number_of_its_curves() -> None:
    html = render(make_report(50), "t")
    assert "Model m1 (" in html
    assert "on 1,000 labelled rows, 50 of them positive, of 10 days from 2026-10-01 on." in html
    for told in ("0.9300", "0.9000", "0.6100", "card precision, 100 a day", "0.0213", "87.5%", "54.0%"):
        assert f">{told}<" in html, told
    assert "Average precision 0.610 (95 % interval 0.550 to 0.680); at review (0.5) precision 60.0%" in html
    assert "Half of the negatives score below 0.02; half of the positives score below 0.76." in html
    for name in ("evaluated_precision_recall", "evaluated_calibration", "evaluated_scores"):
        assert f'data-chart="{name}"' in html


def test_an_evaluation_of_another_model_or_without_positives_says_so() -> None:
    other = render(make_report(50, evaluation=some_evaluation(version="m2", notes=("odd rows",))), "t")
    assert "It is not the model that decides now (m1). Note: odd rows." in other
    measured = some_evaluation().measures
    series = replace(measured.series, recall=[], precision=[], positives=[0] * 50)
    unknown = replace(measured, roc_auc=Value(None), average_precision=Value(None), series=series)
    none = render(make_report(50, evaluation=some_evaluation(positives=0, measures=unknown)), "t")
    assert 'data-chart="evaluated_precision_recall"' not in none
    assert "nan" not in re.sub(r"(?s)<script.*?</script>", "", none).lower()


@pytest.mark.parametrize(
    ("written", "says"),
    [(None, "cannot be read: No such file"), ("{}", "missing required field"), ("AUC 0.9", "malformed")],
)
def test_a_file_that_is_no_evaluation_is_refused_by_name(
    tmp_path: Path, written: str | None, says: str
) -> None:
    path = tmp_path / "evaluation.json"
    if written is not None:
        path.write_text(written)
    with pytest.raises(InvalidInputError, match=says) as refused:
        evaluation_figures.read(path)
    assert str(path) in str(refused.value)


def test_text_of_events_ends_neither_an_element_nor_the_data() -> None:
    html = render(make_report(), HOSTILE)
    assert HOSTILE not in html
    assert "<img" not in html
    assert html.count("<script") == html.count("</script>") == 6
    assert "&lt;/script&gt;" in html


def test_only_the_pages_own_scripts_may_run_and_nothing_may_be_fetched() -> None:
    html = render(make_report(50), "t")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy.group(1).startswith("default-src 'none'")
    assert policy.group(1).count("sha256-") == 5
    assert not re.search(r'(?:src|href)="(?!#|data:,)', html.split("<script")[0])


def test_the_chart_library_is_what_was_published() -> None:
    rows = re.findall(r"^\| `([^`]+)` .* \| `([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.M)
    assert len(rows) == 2
    for name, sha256 in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha256
    assert "Permission to use, copy, modify" in render(make_report(50), "t")


def test_a_stack_on_which_nothing_happened_has_a_page_that_says_so() -> None:
    html = render(nothing(), "t")
    assert "Nothing was decided in this time." in html
    assert "No model is promoted" in html
    assert "nan" not in re.sub(r"(?s)<script.*?</script>", "", html).lower()
    assert {one.state for one in verdicts(nothing())} == {"unknown", "good"}


def test_what_is_to_be_looked_at_is_said_first_by_name() -> None:
    report = make_report()
    says = {one.says: one.state for one in verdicts(report)}
    assert any(what.startswith("amount: PSI") and state == "look" for what, state in says.items())
    assert says["3 records lie in quarantine, 0 failed."] == "look"
    assert says["2,000 events, each decided once: four counts agree."] == "good"
    assert says["Did not hold: parity."] == "look"
    uneven = (*report.agree[:3], Count("Decisions counted", 1_990, ""), *report.agree[4:])
    assert any("decisions counted 1,990" in one.says for one in verdicts(make_report(agree=uneven)))


def test_a_quiet_window_is_no_drift_and_too_few_decisions_are_not_judged() -> None:
    def drift_of(report: Report) -> str:
        return next(one.state for one in verdicts(report) if one.section == "drift")

    assert drift_of(make_report(50, drift=some_drift(2))) == "good"
    assert drift_of(make_report(50, drift=some_drift(0))) == "unknown"


def test_drift_over_time_shows_when_the_feature_moved() -> None:
    over_time = some_drift(4).over_time
    assert [one.decided for one in over_time] == [600] * 4
    assert (
        max(one.psi["amount"] for one in over_time[:2])
        < 0.2
        < min(one.psi["amount"] for one in over_time[2:])
    )


def test_distributions_are_shares_of_all_decisions_missing_ones_among_them() -> None:
    for one in some_drift().distributions:
        assert sum(one.now) == pytest.approx(1)
        assert sum(one.reference) == pytest.approx(1)
        assert len(one.cells) == len(one.now) == len(one.reference)
    (amount,) = (one for one in some_drift().distributions if one.name == "amount")
    assert amount.cells[-1] == "missing"
    assert amount.now[-1] == pytest.approx(0.01)


def test_numbers_are_told_as_people_read_them() -> None:
    assert (number(1234567.891, 2), number(math.nan), percent(0.12345), percent(math.inf)) == (
        "1,234,567.89", "–", "12.35%", "–"
    )  # fmt: skip
    assert [span(s) for s in (5, 60, 300, 604_800)] == ["5 seconds", "minute", "5 minutes", "week"]
