"""A report as a person reads it."""

import numpy as np

from streamscore.moments import moment
from streamscore.parity.report import MEANINGS, Bounds, Difference, FeatureParity, Report


def lines(report: Report) -> list[str]:
    """The whole report; what it comes to is the last line."""
    firsts = [one for feature in report.features for one in _first(feature)]
    return [
        *_counts(report),
        "",
        *_table(report),
        *(["", "first differences, as served and as backfilled:", *firsts] if firsts else []),
        *_reasons(report),
        "",
        verdict(report),
    ]


def verdict(report: Report) -> str:
    """What it comes to, in one line."""
    failed = sum(feature.failed for feature in report.features)
    crossed = sum(feature.different - feature.failed for feature in report.features)
    told = f"; {crossed:,} values of entities that crossed shards differ, which is reported only"
    if failed:
        return f"FAILED: {failed:,} values of entities of one shard differ{told if crossed else ''}"
    if not crossed:
        return f"held: {report.compared:,} events × {len(report.features)} features, bit for bit"
    return f"held: entities of one shard are equal, bit for bit{told}"


def _counts(report: Report) -> list[str]:
    share = 100 * report.equal / report.compared if report.compared else 0.0
    out = [
        f"{report.compared:,} of {report.events:,} events compared, {report.equal:,} equal ({share:.6g} %)"
    ]
    missing = {
        "have no decision": report.not_decided,
        "were decided over HTTP only": report.by_api,
        "hold a vector of a spec that is not published": report.unreadable,
    }
    out += [f"  {count:,} events {what}" for what, count in missing.items() if count]
    for number, entity in enumerate(report.entities):
        name = f"{entity.entity}{' (primary)' if number == 0 else ''}"
        out.append(f"  {name:<24} {entity.equal:,} of {entity.rows:,} rows equal ({entity.percent:.6g} %)")
    return out


def _table(report: Report) -> list[str]:
    width = max(len(feature.feature) for feature in report.features)
    head = f"{'feature':<{width}}  {'compared':>10}  {'different':>10}  {'largest':>10}  reasons"
    return [head, *(_row(feature, width) for feature in report.features)]


def _row(feature: FeatureParity, width: int) -> str:
    why = ", ".join(f"{reason} {count:,}" for reason, count in feature.reasons.items())
    return (
        f"{feature.feature:<{width}}  {feature.compared:>10,}  {feature.different:>10,}  "
        f"{feature.largest_difference:>10.6g}  {why}"
    ).rstrip()


def _first(feature: FeatureParity) -> list[str]:
    one = feature.first
    if one is None:
        return []
    served, backfilled = np.float32(one.served), np.float32(one.backfilled)
    head = (
        f"  {feature.feature} of event {one.event} at {moment(one.event_time_ms)}: {served!s}, {backfilled!s}"
    )
    return [f"{head} ({one.reason})", *_whose(one)]


def _whose(one: Difference) -> list[str]:
    if one.file is None or one.stack is None:
        return []
    through = f"{one.shards} shard{'' if one.shards == 1 else 's'}"
    return [
        f"    {one.entity} {one.value} through {through}; file {_span(one.file)}, stack {_span(one.stack)}"
    ]


def _span(bounds: Bounds) -> str:
    return (
        "knows nothing"
        if bounds.first_ms is None
        else f"{moment(bounds.first_ms)} to {moment(bounds.last_ms)}"
    )


def _reasons(report: Report) -> list[str]:
    met = {reason for feature in report.features for reason in feature.reasons}
    return [f"  {reason}: {what}" for reason, what in MEANINGS.items() if reason in met]
