"""What must hold after a run: pure comparisons of what the stack holds with what a backfill computes."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from scoring.pointers import Pointer
from streamscore.backtest.result import Result


class Check(msgspec.Struct, frozen=True):
    """One claim, whether it held, and the numbers behind it (for a failure: the first difference)."""

    name: str
    held: bool
    detail: str


class Parity(msgspec.Struct, frozen=True):
    """How many of the compared events were served another value of this feature than the backfill's."""

    feature: str
    compared: int
    different: int
    largest_difference: float


def decided_exactly_once(
    sent: Collection[str], decided: Collection[str], first_decisions: int, quarantined: int, failed: int
) -> Check:
    """Every sent event has a decision or lies in quarantine or failed, and none was decided a second time.

    ``first_decisions`` is counted apart from the table: by the monitor, from the table's change stream.
    """
    missing, unasked = set(sent) - set(decided), set(decided) - set(sent)
    problems = []
    if len(missing) != quarantined + failed:
        problems.append(
            f"{len(missing)} events have no decision (first: {min(missing)})"
            if missing
            else f"{quarantined + failed} records were set aside though every event has a decision"
        )
    if unasked:
        problems.append(f"{len(unasked)} decisions are for events that were not sent (first: {min(unasked)})")
    if first_decisions != len(decided):
        problems.append(f"scoring counted {first_decisions} decisions made, the table holds {len(decided)}")
    counts = f"{len(sent)} sent = {len(decided)} decided + {quarantined} quarantined + {failed} failed"
    return Check("every event decided exactly once", not problems, "; ".join(problems) or counts)


def state_equals_backfill(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> Check:
    """Every entity's folded state in the table is, byte for byte, what a backfill of everything ends with."""
    name = "state equal to a backfill's"
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    different = sorted(key for key in expected.keys() & found.keys() if expected[key] != found[key])
    if not (missing or extra or different):
        return Check(name, True, f"{len(expected)} entities, byte for byte")
    kinds = {entity_kind(key) for key in (*missing, *extra, *different)}
    return Check(
        name,
        False,
        f"{len(different)} of {len(expected)} differ, {len(missing)} are missing, {len(extra)} are not "
        f"expected (entities: {', '.join(sorted(kinds))})",
    )


def entity_kind(key: str) -> str:
    """The entity's name in a state item's key: values may be card numbers and are never shown."""
    return key.partition("#")[0]


@dataclass(frozen=True)
class Vectors:
    """Float32 ``[len(ids), len(names)]`` as served and as backfilled, of the events that have both."""

    names: Sequence[str]
    ids: Sequence[str]
    served: npt.NDArray[np.float32]
    backfilled: npt.NDArray[np.float32]
    not_served: int

    @property
    def different(self) -> npt.NDArray[np.bool_]:
        """Where the bits differ: NaN equals NaN, zero and minus zero do not."""
        return np.not_equal(self.served.view(np.uint32), self.backfilled.view(np.uint32))


def line_up(
    names: Sequence[str], ids: Sequence[str], backfilled: npt.NDArray[np.float32], served: Mapping[str, bytes]
) -> Vectors:
    """Pair each backfilled row with the vector its decision holds."""
    rows = [row for row, id_ in enumerate(ids) if len(served.get(id_, b"")) == 4 * len(names)]
    have = np.frombuffer(b"".join(served[ids[row]] for row in rows), "<f4").reshape(len(rows), len(names))
    want = np.ascontiguousarray(backfilled[rows])
    return Vectors(names, [ids[row] for row in rows], have, want, len(ids) - len(rows))


def parity_by_feature(vectors: Vectors) -> list[Parity]:
    """One line a feature; a NaN on one side only is an infinite difference."""
    want, have = vectors.backfilled.astype(np.float64), vectors.served.astype(np.float64)
    gap = np.abs(want - have)
    gap[np.isnan(gap)] = np.inf
    gap[~vectors.different] = 0.0
    return [
        Parity(
            name, len(vectors.ids), int(vectors.different[:, at].sum()), float(gap[:, at].max(initial=0.0))
        )
        for at, name in enumerate(vectors.names)
    ]


def vectors_equal_backfill(vectors: Vectors) -> Check:
    """Every event was served exactly the vector that the backfill computes."""
    name = "served vectors bit-equal to backfilled ones"
    different = vectors.different
    if different.any():
        row, at = (int(place) for place in np.argwhere(different)[0])
        return Check(
            name,
            False,
            f"{int(different.any(axis=1).sum())} of {len(vectors.ids)} events differ; the first: "
            f"{vectors.names[at]} of event {vectors.ids[row]} was served as {vectors.served[row, at]!s}, "
            f"the backfill has {vectors.backfilled[row, at]!s}",
        )
    events, features = different.shape
    if vectors.not_served or not events:
        return Check(
            name, False, f"{vectors.not_served} of {events + vectors.not_served} events have no vector"
        )
    return Check(name, True, f"{events} events × {features} features, bit for bit")


def refused_by_the_gate(failed: Collection[str]) -> Check:
    """A challenger of which no label tells yet was refused; `failed` are the checks that did it."""
    what = f"refused: {', '.join(failed)}" if failed else "the gate let it through"
    return Check("challenger without labels refused by the gate", "coverage" in failed, what)


def promoted(failed: Collection[str], recorded: Pointer | None, enough: bool, seen: str) -> Check:
    """The gate let the challenger through, or was overruled by force with a reason; the pointer says which.

    With labels `enough` in its time the gate must not lack any. `seen` is what it saw.
    """
    forced = recorded.forced if recorded else ()
    told = (
        f"by force, {', '.join(forced)} failed ({recorded.reason})" if recorded and forced else "by the gate"
    )
    problems = []
    if recorded is None or set(forced) != set(failed) or not recorded.reason:
        problems.append(f"failed at the gate: {', '.join(failed) or 'nothing'}, in the pointer: {recorded}")
    if enough and "coverage" in failed:
        problems.append("labels enough were put in time, and did not arrive")
    return Check(
        "challenger promoted, and why is kept", not problems, "; ".join(problems) or f"{told}: {seen}"
    )


def backtested(result: Result | None) -> Check:
    """Every decision made by then was decided again with the challenger."""
    name = "challenger tried on all that was decided"
    if result is None:
        return Check(name, False, "it was not")
    made = result.coverage
    left_out = "".join(f"; {count:,} left out: {why}" for why, count in made.left_out.items())
    told = f"{made.decided:,} of {made.read:,}, {result.flipped:,} decided otherwise{left_out}"
    return Check(name, made.decided == made.read > 0, told)


def swapped_while_events_flowed(
    phases: Sequence[tuple[str, Counter[str | None]]],
    without_model: int,
    name: str = "models swapped while events flow",
) -> Check:
    """In each phase, after functions followed the pointer, the model that was named decided all there was.

    ``phases`` are that model and who decided; between them either may have.
    """
    told = ", then ".join(f"{counts.total():,} by {model}" for model, counts in phases)
    wrong = [model for model, counts in phases if not counts or set(counts) != {model}]
    problems = [f"{model} did not decide alone while it was champion" for model in wrong]
    if without_model:
        problems.append(f"{without_model} events were decided without a model")
    return Check(name, not problems, "; ".join(problems) or told)


def shadow_equals_backtest(compared: int, different: int) -> Check:
    """What the challenger scored in shadow is what it scores when the decision is made again, bit for bit."""
    detail = f"{different} of {compared} scores differ" if different else f"{compared:,} scores, bit for bit"
    return Check("challenger in shadow equal to its backtest", compared > 0 and not different, detail)


def no_process_left(alive: Collection[str]) -> Check:
    """Nothing of what the stack started still runs; ``alive`` are the commands that do."""
    return Check(
        "no process left", not alive, f"still running: {', '.join(sorted(alive))}" if alive else "none"
    )
