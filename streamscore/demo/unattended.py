"""What must hold after the act about drift: pure claims about what was seen of it."""

from collections.abc import Sequence

from monitor.requests import ALARM
from monitor.steps import ROLLED_BACK
from scoring.pointers import Pointer
from streamscore.demo.checks import Check
from streamscore.demo.drift import Acted
from streamscore.demo.summary import Unattended

LONGEST_PAUSE_S = 15.0
"""Without a decision: a busy machine that trains a model lets events wait, and not so long."""


def unattended(acted: Acted, why: Sequence[str]) -> Unattended:
    """Of what was seen, and the texts of the run's reasons."""
    return Unattended(
        champion=acted.champion,
        model=acted.move.version if acted.move else None,
        run=acted.run,
        why=tuple(why),
        earlier={one["run"]: one["outcome"] for one in acted.runs if one["run"] != acted.run},
        promoted_after_s=_seconds(acted.alarmed_ms, acted.moved_ms),
        alarm_over_after_s=_seconds(acted.moved_ms, acted.cleared_ms),
        rolled_back_after_s=_seconds(acted.campaign_ms, acted.back_ms),
        because=acted.back.reason if acted.back else "",
    )


def promoted_by_itself(acted: Acted, kinds: Sequence[str]) -> Check:
    """The drift alarm, and nothing else, started a run, and the gate let its model decide.

    `kinds` are those of the run's reasons.
    """
    name = "drift alarm led to a better champion, unattended"
    if not acted.alarmed_ms:
        return Check(name, False, "the alarm did not go off")
    if acted.move is None:
        ended = ", ".join(
            f"{one['run']}: {one['outcome'] or one['status']} {one['text']}" for one in acted.runs
        )
        return Check(name, False, f"no run promoted a model: {ended or 'none began'}")
    by_hand = bool(acted.move.forced) or set(kinds) != {ALARM}
    took_s = (acted.moved_ms - acted.alarmed_ms) / 1000
    told = f"{acted.move.version} by {acted.move.reason}; {took_s:.0f} s after the alarm"
    return Check(name, not by_hand, f"reasons {', '.join(kinds)}: {told}" if by_hand else told)


def alarm_over(acted: Acted) -> Check:
    """The alarm was on until the new model decided, and its windows are like its own baseline."""
    name = "drift alarm over once it decides"
    if acted.move is None:
        return Check(name, False, "nothing was promoted")
    if not acted.was_on:
        return Check(name, False, "the alarm was over before: the new model had nothing to mend")
    if not acted.cleared_ms:
        return Check(name, False, "the alarm is still on")
    return Check(name, True, f"{(acted.cleared_ms - acted.moved_ms) / 1000:.0f} s after its promotion")


def rolled_back_by_itself(acted: Acted) -> Check:
    """The run that promoted the model took it back, to the one before; its history says who and why, and an
    alarm that it did.
    """
    name = "regression rolled back, unattended"
    back = acted.back
    if back is None:
        return Check(name, False, "the model still decides" if acted.move else "nothing was promoted")
    problems = []
    if not (back.back and back.version == acted.champion):
        problems.append(f"the pointer went to {back.version}, and {acted.champion} decided before")
    if not acted.run or not back.reason.startswith(f"{acted.run}: "):
        problems.append(f"its history does not say that {acted.run} did it: {back.reason}")
    if acted.ended.get("outcome") != ROLLED_BACK:
        problems.append(f"the run ended as {acted.ended.get('outcome') or 'still running'}")
    if not acted.rang:
        problems.append("its alarm did not go off")
    return Check(
        name, not problems, "; ".join(problems) or f"{_moved(back)}, {_took(acted)} s after it began"
    )


def flowed(acted: Acted, decided_ms: Sequence[int]) -> Check:
    """In each part of the act decisions were made, and never long none. `decided_ms` is when."""
    turns = [acted.began_ms, acted.alarmed_ms, acted.moved_ms, acted.cleared_ms, acted.back_ms]
    names = ("before the alarm", "while it trained", "until the alarm was over", "until it was rolled back")
    name = "events flowed all the while"
    if not all(turns):
        return Check(name, False, "the act did not come to its end")
    counts = [
        sum(since <= at < until for at in decided_ms) for since, until in zip(turns, turns[1:], strict=False)
    ]
    within = sorted(at for at in decided_ms if turns[0] <= at < turns[-1])
    pause_s = max((b - a for a, b in zip(within, within[1:], strict=False)), default=0) / 1000
    told = ", ".join(f"{count:,} decided {when}" for count, when in zip(counts, names, strict=True))
    return Check(name, all(counts) and pause_s < LONGEST_PAUSE_S, f"{told}; longest pause {pause_s:.1f} s")


def _moved(back: Pointer) -> str:
    return f"to {back.version} by {back.reason}"


def _took(acted: Acted) -> str:
    return f"{(acted.back_ms - acted.campaign_ms) / 1000:.0f}"


def _seconds(since_ms: int, until_ms: int) -> float | None:
    return (until_ms - since_ms) / 1000 if since_ms and until_ms else None
