"""How good a file of events is to learn from: a score from 0 to 1, and the parts it is the product of. Pure.

One part that is bad makes the score bad: a file without labels is no better for its clean times.
"""

import math

import msgspec


class Part(msgspec.Struct, frozen=True):
    """One thing looked at: from 0 (useless) to 1, and what was seen."""

    value: float
    seen: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a file counted. `missing` is the mean share of absent values over the spec's fields;
    `due` are rows whose label should be known by now, `matured` the labels that are final by now; `days` have
    rows, `span_days` lie from the first to the last.
    """

    rows: int
    refused: int
    repeats: int
    missing: float
    due: int
    due_labelled: int
    labelled: int
    positives: int
    matured: int
    days: int
    span_days: int


class Quality(msgspec.Struct, frozen=True):
    """The score and its parts."""

    score: float
    parts: dict[str, Part]


UNREADABLE = "readable"


def unreadable(why: str) -> Quality:
    """Of a file that is not the spec's, or no file of events at all."""
    return Quality(0.0, {UNREADABLE: Part(0.0, why)})


def quality(found: Counts, expected_share: float | None) -> Quality:
    """The score; `expected_share` is the share of positives that the champion learned from, if any."""
    parts = {
        "valid": _share(found.rows - found.refused, found.rows, "rows that the spec takes"),
        "unique": _share(
            found.rows - found.refused - found.repeats,
            found.rows - found.refused,
            "rows with an id of their own",
        ),
        "complete": Part(_rounded(1 - found.missing), f"{found.missing:.2%} of values are missing"),
        "labelled": _labelled(found),
        "label share": _label_share(found, expected_share),
        "mature": _share(found.matured, found.labelled, "labels that are final by now"),
        "continuous": _share(found.days, found.span_days, "days from the first to the last that have rows"),
    }
    return _scored(parts)


def with_part(before: Quality, name: str, part: Part) -> Quality:
    """The same with one part more."""
    return _scored(before.parts | {name: part})


def _scored(parts: dict[str, Part]) -> Quality:
    return Quality(_rounded(math.prod(part.value for part in parts.values())), parts)


def _share(part: int, whole: int, of: str) -> Part:
    return Part(_rounded(part / whole) if whole else 0.0, f"{part:,} of {whole:,} {of}")


def _labelled(found: Counts) -> Part:
    """Half of what is due is enough: not every event is ever looked at."""
    share = found.due_labelled / found.due if found.due else 0.0
    seen = f"{found.due_labelled:,} of {found.due:,} rows that are old enough have a label"
    return Part(_rounded(min(1.0, 2 * share)), seen)


def _label_share(found: Counts, expected: float | None) -> Part:
    """Up to twice or half of what is expected is well; 16 times or a sixteenth is worth nothing."""
    if not 0 < found.positives < found.labelled:
        return Part(0.0, f"{found.positives:,} of {found.labelled:,} labels are positive: of one kind only")
    share = found.positives / found.labelled
    if not expected:
        return Part(1.0, f"{share:.3%} of labels are positive; there is no champion to compare with")
    factor = max(share / expected, expected / share)
    value = 1 - max(0.0, math.log2(factor) - 1) / 3
    return Part(_rounded(max(0.0, value)), f"{share:.3%} of labels are positive, {expected:.3%} were before")


def _rounded(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)
