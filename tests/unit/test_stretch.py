"""The time that drift, cost, report and estimate look back over."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from streamscore.cli import cost, drift, estimate, report
from streamscore.cli._stretch import stretch_of


def test_a_span_ends_now_and_moments_are_taken_at_their_word() -> None:
    since, until = stretch_of("1d12h", None)
    assert until - since == pytest.approx(timedelta(hours=36), abs=timedelta(milliseconds=2))
    assert datetime.now(UTC) - until < timedelta(minutes=1)
    assert stretch_of("2026-11-24T16:00:00Z", "2026-11-25") == (
        datetime(2026, 11, 24, 16, tzinfo=UTC),
        datetime(2026, 11, 25, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        (
            "yesterday",
            None,
            "--since yesterday: write 2026-11-24, 2026-11-24T12:30:00Z, or how long ago: 24h",
        ),
        ("24h", "soon", "--until soon: write"),
        ("1h", "2h", "--since 1h: is not before --until 2h; look further back"),
        ("2999-01-01", None, "--since 2999-01-01: is not before now; look further back"),
    ],
)
def test_a_time_that_is_none_is_refused(since: str, until: str | None, says: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        stretch_of(since, until)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    "asked",
    [(drift.command,), (cost.command,), (report.command,), (estimate.command, "--from-metered")],
    ids=lambda asked: asked[0].callback.__module__,
)
def test_options_are_looked_at_before_the_stack(asked: tuple[object, ...]) -> None:
    command, *more = asked
    with pytest.raises(InvalidInputError, match="--since yesterday"):
        CliRunner().invoke(command, [*more, "--since", "yesterday"], catch_exceptions=False)  # type: ignore[arg-type, list-item]
