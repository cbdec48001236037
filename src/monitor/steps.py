"""The steps of a run that need no training container: each takes the state's event and returns data for it.

A step may be asked again after it was done (a time-out, a lost answer): the second time changes nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import InvalidInputError, ModelRefusedError
from common.telemetry import count, logger, measure
from monitor import probation
from monitor.requests import OBJECT, Reason, still_on
from monitor.runs import Runs, Turn, object_key
from monitor.store import Store
from monitor.times import WINDOW_S, floor, iso, seconds
from monitor.turns import Machine, begin_next
from monitor.watching import watched
from scoring import pointer_moves
from scoring.bus import Bus
from scoring.pointers import CHALLENGER, CHAMPION, NOTHING, Version
from scoring.policy import Policy

MOST_LOOKS = 200
"""Of a stage that waits: an execution's history holds 25,000 events, and a look is nine."""
PROMOTED, REFUSED, DATA_REJECTED, NOTHING_NEW = "promoted", "refused", "data_rejected", "nothing_new"
ROLLED_BACK, FAILED = "rolled_back", "failed"
_COUNTED = {
    PROMOTED: "ModelsPromoted",
    REFUSED: "ModelsRefused",
    ROLLED_BACK: "ModelsRolledBack",
    DATA_REJECTED: "DataRejected",
}
_NO_PEACE = frozenset({DATA_REJECTED, NOTHING_NEW})
"""What cost no training needs no cool-down."""
_MOST_REASON = 400
DETAIL_TYPE, WAITS = "RetrainingEnded", "RetrainingWaits"


class Parts(NamedTuple):
    """What steps need of their stack. `approval` is `manual` where a person has the last word; `is_advised`
    asks whether the alarm that starts runs is on.
    """

    store: Store
    runs: Runs
    machine: Machine
    bus: Bus
    ssm: Any
    prefix: str
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], None]
    approval: str
    is_advised: Callable[[], bool]


Step = Callable[[Parts, Mapping[str, Any], float], dict[str, Any]]


def policy(parts: Parts) -> Policy:
    """The policy in use."""
    return parts.store.policy(parts.store.pointed().policy)


def begin(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Take all reasons that wait, write them down, and say how the run goes."""
    run = str(event["run"])
    parts.runs.take(run, parts.runs.waiting())
    reasons, asked = parts.runs.taken(run), policy(parts)
    rules, champion = asked.retrain, parts.store.pointed().champion
    objects = sorted({one.key for one in reasons if one.kind == OBJECT})
    request = {
        "run": run,
        "at": iso(now_s),
        "reasons": [one._asdict() for one in reasons],
        "objects": objects,
        "champion": champion or "",
        "policy": asked.version,
    }
    _write(parts, object_key(run, "request.json"), request)
    logger().info("a run begins", extra={"reasons": [one.text for one in reasons]})
    return {
        "why": in_words(reasons),
        "reasons": len(reasons),
        "objects": len(objects),
        "only_objects": bool(objects) and all(one.kind == OBJECT for one in reasons),
        "champion": champion or "",
        "approval": parts.approval,
        "options": list(rules.options),
        "shadow": looks(rules.shadow_s),
        "probation": looks(rules.probation_s),
    }


def looks(span_s: int) -> dict[str, int]:
    """How often to look in that time, and how long to wait before each look, in whole windows.

    >>> looks(86_400), looks(30 * 86_400), looks(0)
    ({'looks': 144, 'every_s': 600}, {'looks': 197, 'every_s': 13200}, {'looks': 1, 'every_s': 300})
    """
    every_s = WINDOW_S * max(1, -(-span_s // (WINDOW_S * MOST_LOOKS)))
    return {"looks": min(MOST_LOOKS, max(1, -(-span_s // every_s))), "every_s": every_s}


def in_words(reasons: Sequence[Reason]) -> str:
    """The reasons in a line, each once.

    >>> in_words([Reason("1", "manual", "why not"), Reason("2", "manual", "why not")])
    'why not'
    """
    return "; ".join(dict.fromkeys(one.text for one in reasons))


def found(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """What a container left of its step `of`, for the machine; what it measured becomes metrics."""
    result: dict[str, Any] = json.loads(parts.read(object_key(str(event["run"]), f"{event['of']}.json")))
    for file in result.get("files", ()):
        count("ProcessedRows", file["rows"])
        measure("DataQualityScore", file["quality"])
    if result.get("drift") is not None:
        measure("FeatureDrift", result["drift"])
    return {name: value for name, value in result.items() if name != "files"}


def shadow(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Put the new model beside the champion."""
    version = Version(event["version"], event["sha256"])
    pointer_moves.point(parts.ssm, parts.prefix, version, _reason(event), CHALLENGER)
    return {"since": iso(floor(now_s, WINDOW_S)), "looks": event["looks"]}


def look_at_shadow(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """What it scored in shadow so far, and whether that is enough, or the time is up."""
    left, asked = int(event["looks"]) - 1, policy(parts).retrain
    version = str(event["version"])
    layout = parts.store.model(version).layout
    windows = parts.store.windows(version, event["since"], iso(now_s), layout)
    tallies = [window.tally for window in windows if window.who.challenger]
    labelled = sum(tally.labelled for tally in tallies)
    return {
        "since": event["since"],
        "looks": left,
        "scored": sum(tally.decisions for tally in tallies),
        "labelled": labelled,
        "done": labelled >= asked.shadow_labels or left <= 0,
    }


def ask_a_person(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Keep the token that lets the run go on, and tell that it waits: `streamscore retrain approve RUN`."""
    run = str(event["run"])
    parts.runs.keep_token(run, str(event["token"]), now_s)
    text = f"it showed what was asked; `streamscore retrain approve {run}` lets it decide"
    waits = {"run": run, "outcome": "waits for a person", "model": str(event["version"]), "text": text}
    _tell(parts, WAITS, waits, now_s)
    return {}


def promote(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Make the new model the champion, if the one it was compared with still is."""
    version = Version(event["version"], event["sha256"])
    before = pointer_moves.read(parts.ssm, parts.prefix, CHAMPION)
    named = before.version if before else ""
    if named not in (event["champion"], version.version):
        raise ModelRefusedError(
            f"the champion is {named or 'none'} by now, and {version.version} was compared with "
            f"{event['champion'] or 'none'}: nothing is changed; retrain again"
        )
    moved = pointer_moves.promote(parts.ssm, parts.prefix, version, _reason(event), ())
    _leave_shadow(parts, version.version, "it was promoted")
    return {"since": iso(floor(seconds(moved.at), WINDOW_S)), "looks": event["looks"]}


def look_at_champion(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Whether the new champion is worse than it promised, by all it decided since it was promoted."""
    left, version = int(event["looks"]) - 1, str(event["version"])
    about = {"since": event["since"], "looks": left}
    if parts.store.pointed().champion != version:
        return about | {"regressed": False, "done": True, "why": "somebody moved the pointer"}
    seen = watched(parts.store, event["since"], iso(now_s), version=version)
    worse = probation.regressions(seen.champion.looked) if seen else []
    return about | {
        "regressed": bool(worse),
        "done": bool(worse) or left <= 0,
        "why": probation.in_words(worse),
        "decided": seen.champion.looked.whole.comparison.decided if seen else 0,
    }


def roll_back(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Go back to the model before, if the new one still decides."""
    pointer = pointer_moves.read(parts.ssm, parts.prefix, CHAMPION)
    if pointer is None or pointer.version != event["version"]:
        return {"champion": pointer.version if pointer else ""}
    try:
        moved = pointer_moves.back(parts.ssm, parts.prefix, _reason(event))
    except InvalidInputError:  # the first champion: nothing was before it
        return {"champion": pointer.version}
    return {"champion": moved.version}


def end(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Write down how the run ended, tell it, and give the turn to who waits."""
    run, outcome, told = str(event["run"]), str(event["outcome"]), str(event["text"])
    model = str(event.get("version") or "")
    if model:
        _leave_shadow(parts, model, f"{run} ended: {outcome}")
    ended = {"run": run, "outcome": outcome, "model": model, "text": told, "at": iso(now_s)}
    _write(parts, object_key(run, "outcome.json"), ended)
    if outcome in _COUNTED:
        count(_COUNTED[outcome])
    _tell(parts, DETAIL_TYPE, ended, now_s)
    turn, rules = parts.runs.turn(), policy(parts).retrain
    if turn.run == run:
        peace_s = turn.peace_until_s if outcome in _NO_PEACE else int(now_s) + rules.cool_down_s
        free = Turn("", 0, peace_s)
        if parts.is_advised():
            parts.runs.add(still_on(run), now_s)
        if parts.runs.pass_on(turn, free):
            ended["next"] = begin_next(parts.runs, parts.machine, free, rules, now_s)
    return ended


STEPS: dict[str, Step] = {
    "begin": begin,
    "found": found,
    "shadow": shadow,
    "look_at_shadow": look_at_shadow,
    "ask_a_person": ask_a_person,
    "promote": promote,
    "look_at_champion": look_at_champion,
    "roll_back": roll_back,
    "end": end,
}
"""By the names that the state machine calls them."""


def _reason(event: Mapping[str, Any]) -> str:
    return f"{event['run']}: {event['why']}"[:_MOST_REASON]


def _leave_shadow(parts: Parts, version: str, why: str) -> None:
    pointer = pointer_moves.read(parts.ssm, parts.prefix, CHALLENGER)
    if pointer is not None and pointer.version == version:
        pointer_moves.point(parts.ssm, parts.prefix, NOTHING, why, CHALLENGER)


def _tell(parts: Parts, kind: str, told: Mapping[str, Any], now_s: float) -> None:
    if not parts.bus.tell(kind, told, now_s):
        logger().warning("the event bus was not told of a run", extra={"run": told["run"]})


def _write(parts: Parts, name: str, content: Mapping[str, Any]) -> None:
    parts.write(name, json.dumps(content, indent=1).encode() + b"\n")
