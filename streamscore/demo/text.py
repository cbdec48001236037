"""The summary as lines for a terminal."""

from collections.abc import Iterator, Mapping

from streamscore.demo.summary import Life, Ranked, Summary, Unattended

WIDTH = 26
MOST_DRIFTED = 3


def lines(summary: Summary) -> Iterator[str]:
    """One line a fact; what is not known is left out."""
    yield _line("events", _counts(summary.events))
    yield _line("decisions", _counts(summary.decisions))
    if summary.latency:
        it = summary.latency
        yield _line("latency", f"p50 {it.p50_ms:,.0f} ms, p99 {it.p99_ms:,.0f} ms (arrival to decision)")
    if summary.performance:
        yield _line("model", f"{summary.model or 'none'}: {_performance(summary)}")
    if summary.life:
        yield from _life(summary.life)
    if summary.unattended:
        yield from _unattended(summary.unattended)
    if summary.drift:
        worst = sorted(summary.drift, key=lambda drift: -drift.psi)[:MOST_DRIFTED]
        yield _line("drift (PSI)", ", ".join(f"{drift.name} {drift.psi:.3f}" for drift in worst))
    if summary.cost:
        yield _line(
            "cost", f"${summary.cost.usd_per_million_decisions:.2f} per million decisions at list prices"
        )
    for check in summary.checks:
        yield _line(f"{'held  ' if check.held else 'FAILED'} {check.name}", "")
        yield f"       {check.detail}"


def _life(life: Life) -> Iterator[str]:
    yield _line("champion", f"{life.champion} made {life.by_champion:,} decisions, to begin and to end with")
    share = life.flips / life.shadowed if life.shadowed else 0.0
    yield _line(
        "challenger",
        f"{life.challenger} made {life.by_challenger:,}, between promotion and rollback; in shadow of "
        f"{life.shadowed:,} it would have flipped {life.flips:,} ({share:.1%}), "
        f"{life.challenger_alerts:,} alerts for {life.alerts:,}",
    )
    if life.backtest:
        yield _line("on matured labels", _ranked(life.backtest))
    yield _line("promoted", f"by force ({life.reason})" if life.forced else "by the gate")


def _unattended(it: Unattended) -> Iterator[str]:
    before = "".join(f"; before it {run}: {outcome}" for run, outcome in it.earlier.items())
    yield _line("payments changed", f"{'; '.join(it.why) or 'no run began'}{before}")
    if it.model is not None:
        yield _line(
            "retrained",
            f"{it.model} decided {_after(it.promoted_after_s)} the alarm, which was over "
            f"{_after(it.alarm_over_after_s)} that",
        )
    if it.because:
        yield _line("rolled back", f"{_after(it.rolled_back_after_s)} they changed again: {it.because}")


def _after(seconds: float | None) -> str:
    return "never after" if seconds is None else f"{seconds:.0f} s after"


def _ranked(found: Ranked) -> str:
    counts = f"{found.labels:,}, {found.positives:,} positive"
    if None in (*found.champion, *found.challenger):
        return f"{counts}: too few to rank"
    champion, challenger = (
        f"ROC AUC {roc_auc:.3f}, average precision {average_precision:.3f}"
        for roc_auc, average_precision in (found.champion, found.challenger)
    )
    return f"{counts}: challenger {challenger}; champion {champion}"


def _line(name: str, value: str) -> str:
    return f"{name:<{WIDTH}} {value}".rstrip()


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _performance(summary: Summary) -> str:
    it = summary.performance
    if it is None or it.roc_auc is None or it.average_precision is None:
        return "labels of one kind only: no ROC AUC"
    return (
        f"ROC AUC {it.roc_auc:.3f}, average precision {it.average_precision:.3f} "
        f"on {it.labelled:,} live labels, {it.positives:,} positive"
    )
