"""A decision in lines, as a person reads it: what, about what, why, by which model, and what it turned out
to be.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from streamscore.moments import moment, span

_WIDTH = 11


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """`found` is what `shown` gives.

    >>> stub = {"id": "e1", "entity": "c1", "event_time": 0, "label": True, "label_time": 1}
    >>> print("\\n".join(lines(stub)))
    event       e1 of c1 at 1970-01-01 00:00:00.000 UTC
    decision    none yet: its label came first
    label       positive, known 1970-01-01 00:00:00.001 UTC, 0.001s after the event
    """
    whose = f"{found.get('primary', '')} {found.get('entity', '?')}".strip()
    yield _line("event", f"{found['id']} of {whose} at {_at(found.get('event_time'))}")
    for name, value in found.get("entities", {}).items():
        yield _line("with", f"{name} {value}")
    for name, value in found.get("kept", {}).items():
        yield _line("field", f"{name} {_value(value)}")
    if "scored_at" in found:
        yield from _decision(found)
    else:
        yield _line("decision", "none yet: its label came first")
    yield from _label(found)
    yield from _features(found)


def _decision(found: Mapping[str, Any]) -> Iterator[str]:
    score = f"score {_value(found['score'])}" if "score" in found else "no score"
    yield _line("decision", f"{found['decision']}, {score}")
    for reason in found.get("reasons", ()):
        yield _line("reason", _reason(reason))
    for rule in found.get("rules", ()):
        yield _line("rule", _rule(rule))
    if "propensity" in found:
        yield _line(
            "chance", f"{found['propensity']:.4g} that it would be decided so: a control share had a say"
        )
    if "cut" in found:
        yield _line("cut", f"too large to store whole: {', '.join(found['cut'])}")
    yield _line("model", found.get("model", "none"))
    if challenger := found.get("challenger"):
        would = f"{challenger['decision']}, score {_value(challenger['score'])}"
        yield _line("challenger", f"{challenger['model']} would have said {would}")
    yield _line("policy", found["policy"])
    yield from _times(found)
    if "second_path_score" in found:
        yield _line("other path", _second_path(found))
    if "trace" in found:
        known = f" (X-Ray {found['xray_trace_id']})" if "xray_trace_id" in found else ""
        yield _line("trace", f"{found['trace']}{known}")


def _times(found: Mapping[str, Any]) -> Iterator[str]:
    yield _line("arrived", _at(found.get("arrival")))
    by = "over HTTP" if found.get("source") == "api" else "on the stream"
    yield _line("decided", f"{_at(found['scored_at'])}, {found['latency_ms']} ms after it arrived, {by}")


def _second_path(found: Mapping[str, Any]) -> str:
    """How the path that came second scored the same event."""
    second = found["second_path_score"]
    path = "the stream" if found.get("source") == "api" else "HTTP"
    if "score" not in found:
        return f"{path} gave score {_value(second)}"
    skew = second - found["score"]
    return f"{path} gave {'the same score' if skew == 0 else f'score {_value(second)}: {skew:+.6g}'}"


def _reason(reason: str | Mapping[str, Any]) -> str:
    """In the words of the spec if it has some; a reason that is one word says why there is no score."""
    if isinstance(reason, str):
        return reason
    usual = "{feature} is {value}, usually {median}".format(
        feature=reason["feature"], value=_value(reason.get("value")), median=_value(reason.get("median"))
    )
    return f"{reason.get('text') or usual}: {reason['contribution']:+.3g} log-odds"


def _rule(name: str) -> str:
    """
    >>> _rule("shadow:huge")
    'huge (in shadow: it decided nothing)'
    """
    shadow, _, rest = name.partition(":")
    return f"{rest} (in shadow: it decided nothing)" if shadow == "shadow" and rest else name


def _label(found: Mapping[str, Any]) -> Iterator[str]:
    if "label" not in found:
        yield _line("label", "not known yet")
        return
    kind, known_ms, event_ms = found["label"], found.get("label_time"), found.get("event_time")
    after = "" if known_ms is None or event_ms is None else f", {span(known_ms - event_ms)} after the event"
    yield _line("label", f"{'positive' if kind else 'negative'}, known {_at(known_ms)}{after}")


def _features(found: Mapping[str, Any]) -> Iterator[str]:
    if "feature_count" in found:
        sha = found.get("spec", "")[:16]
        yield _line(
            "features", f"{found['feature_count']} values, without names: spec {sha} is not published"
        )
    features = found.get("features", {})
    if features:
        yield _line("features", f"{len(features)}, of spec {found['spec'][:16]}")
    width = max(map(len, features), default=0)
    yield from (f"  {name:<{width}}  {_value(value)}" for name, value in features.items())


def _value(value: Any) -> str:
    """
    >>> _value(None), _value(3.0), _value(0.1234567), _value(True)
    ('missing', '3', '0.123457', 'yes')
    """
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else _whole(value)


def _whole(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _at(epoch_ms: int | None) -> str:
    return "an unknown time" if epoch_ms is None else f"{moment(epoch_ms)} UTC"


def _line(name: str, what: str) -> str:
    return f"{name:<{_WIDTH}} {printable(what)}"


def printable(text: str) -> str:
    """What came with an event must not move a terminal's cursor: it is shown escaped."""
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
