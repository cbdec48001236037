"""The order of reads and writes that makes a delivery exactly-once in effect, without doing any of them.

`apply_delivery` is a generator: it yields what to read and what to save and is sent the answers. So it runs
against DynamoDB, or against a model of it with every fault at every step. The order, which was model-checked:
read shared items, then primaries; fold; write primaries, their rows in `out`; only then write shared items,
folded under the primaries' durable verdicts, and only with the records below the lowest whose primary is not
durable. (Otherwise a crash leaves a terminal that holds events whose rows are not yet computed.)

An item that is split (see sharing) is read with all its sub-items, also before primaries, for the features;
written are those sub-items which take the records. A split item never again changes but for its version and
ttl, so a sub-item's own version is condition enough.

The cut-over mark is read with each delivery, once, before its verdicts: a mark remembered from an earlier
delivery could be one that a later `load-state` has moved. What it covers is as good as not delivered.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from stream_features.outbox import flushes
from stream_features.sharing import SHARING, Sharing, split_keys, sub_keys
from stream_features.spec import Spec
from stream_features.state import ABSENT, CUTOVER_KEY, Order, Stored, read_cutover
from stream_features.turn import MOST_ITEM_BYTES, Part, Turn, Write
from stream_features.verdict import Delivery, Verdict, rows_after

TRIES = 10


class Read(NamedTuple):
    """Asks for items by key; answered by those that exist, or by None if they cannot be had in time."""

    keys: Sequence[str]
    attempt: int


class Save(NamedTuple):
    """Asks for conditional writes; answered by one Saved a write."""

    writes: Sequence[Write]


class Saved(Enum):
    """DONE: durable. CONFLICT: the item is not what was read. UNFINISHED: not acknowledged in time."""

    DONE = "done"
    CONFLICT = "conflict"
    UNFINISHED = "unfinished"


@dataclass(slots=True)
class Applied:
    """What became of a delivery. `unfinished`: index of the first record to be delivered again, or None."""

    unfinished: int | None = None
    done: list[Write] = field(default_factory=list)
    conflicts: int = 0
    duplicates: int = 0
    replays: int = 0
    before_cutover: int = 0


type Steps[R] = Generator[Read | Save, Any, R]
type Found = Mapping[str, Stored]


def apply_delivery(spec: Spec, delivery: Delivery, now_ms: int, sharing: Sharing = SHARING) -> Steps[Applied]:
    """Apply every record later than the cut-over; `now_ms` becomes the version of items that are new."""
    applied = Applied()
    stretches = list(flushes(spec, delivery))
    cutover_ms = None
    earlier: dict[str, list[Order]] = {}
    while stretches:
        first, end = stretches.pop(0)
        stretch, found = delivery.part(first, end), None
        if first == 0:
            shared = [key for keys in stretch.keys_by_entity()[1:] for key in keys]
            found = yield Read([CUTOVER_KEY, *shared], 0)
            if found is None:
                applied.unfinished = 0
                break
            cutover_ms = read_cutover(found.get(CUTOVER_KEY))
        rows = rows_after(stretch, cutover_ms)
        try:
            part = Part(spec, stretch.only(rows), now_ms, sharing, earlier) if rows else None
            cut = (yield from _apply_part(part, found, applied, earlier)) if part else None
        except _TooLargeError:
            middle = first + rows[len(rows) // 2]
            stretches[:0] = [(first, middle), (middle, end)]
            continue
        applied.before_cutover += end - first - len(rows)
        if cut is not None:
            applied.unfinished = first + rows[cut]
            break
    return applied


class _TooLargeError(Exception):
    """With all its rows an item would outgrow DynamoDB's limit.

    The part is tried again in halves; to them, what a first try has written is a replay.
    """


def _apply_part(
    part: Part, found: Found | None, applied: Applied, earlier: dict[str, list[Order]]
) -> Steps[int | None]:
    """Primaries, then shared items, `found` if read already; the first unfinished record's index, or None.

    Duplicates join `earlier`, for a primary that is not written here, but in a later stretch, to note them.
    """
    turn, open_primaries = yield from _save_primaries(part, found, applied)
    if turn is None:
        return 0
    for key, orders in turn.settled.repeats.items():
        earlier.setdefault(key, []).extend(orders)
    cut = part.first_with(open_primaries)
    open_shared = yield from _save_shared(part, turn, cut, applied)
    return min((n for n in (cut, part.first_with(open_shared)) if n is not None), default=None)


def _save_primaries(part: Part, found: Found | None, applied: Applied) -> Steps[tuple[Turn | None, set[str]]]:
    """The last fold, and the primaries not durable under its verdicts.

    A conflict reads and folds everything again: another lane may have changed what the rows depend on.
    """
    turn: Turn | None = None
    conflicts: set[str] = set()
    late: set[str] = set()
    for attempt in range(TRIES):
        shared = yield from _read_shared(part, attempt, found if attempt == 0 else None)
        primaries = (yield Read(part.primaries, attempt)) if shared is not None else None
        if shared is None or primaries is None:
            break
        turn = part.fold({**shared, **primaries})
        writes = turn.primary_writes()
        if len(part.delivery.records) > 1 and any(write.size > MOST_ITEM_BYTES for write in writes):
            raise _TooLargeError
        if attempt == 0:
            applied.duplicates += turn.settled.verdicts.count(Verdict.DUPLICATE)
            applied.replays += turn.settled.verdicts.count(Verdict.REPLAY)
        conflicts = yield from _save([w for w in writes if w.pk not in late], late, applied)
        if not conflicts:
            break
    return turn, late | conflicts


def _read_shared(part: Part, attempt: int, found: Found | None) -> Steps[Found | None]:
    """All items that are no primaries, `found` if read already, with the sub-items of split ones."""
    if found is None:
        found = (yield Read(part.shared, attempt)) if part.shared else {}
    if found is None:
        return None
    split = split_keys(found, part.shared)
    return (yield from _read_more(found, [sub for key in split for sub in sub_keys(key, part.sharing)]))


def _read_more(found: Found, keys: Collection[str]) -> Steps[Found | None]:
    more: Found | None = (yield Read(sorted(keys), 0)) if keys else {}
    return None if more is None else {**found, **more}


def _save_shared(part: Part, turn: Turn, cut: int | None, applied: Applied) -> Steps[set[str]]:
    """Write the shared items, re-reading entities in conflict; the (main) keys of those not durable."""
    late: set[str] = set()
    if cut == 0:
        return late
    conflicts: set[str] = set()
    for ready in _first_writes(part, turn, cut):
        conflicts |= yield from _save_turn(ready, late, applied)
    for attempt in range(1, TRIES):
        stored = (yield from _read_again(part, turn, conflicts, attempt)) if conflicts else None
        if stored is None:
            break
        conflicts = yield from _save_turn(part.fold_shared(turn, stored, cut), late, applied)
    return late | conflicts


def _first_writes(part: Part, turn: Turn, cut: int | None) -> list[Turn]:
    """The turn whose primaries are durable, if all are, and a fold of what it cannot stand for."""
    again = set(turn.place.mains.values() if cut is None else part.shared)
    stored = {key: old for key, old in turn.stored.items() if turn.place.main(key) in again} if again else {}
    folded = [part.fold_shared(turn, stored, cut)] if stored else []
    return [turn, *folded] if cut is None else folded


def _read_again(part: Part, turn: Turn, conflicts: set[str], attempt: int) -> Steps[Found | None]:
    """The items that conflicts are about, by main keys, and the sub-items of those that are split by now."""
    known = {sub for sub, key in turn.place.mains.items() if key in conflicts}
    found: Found | None = yield Read(sorted(conflicts | known), attempt)
    if found is None:
        return None
    subs = part.placing(found).mains.keys()
    found = yield from _read_more(found, subs - known)
    return None if found is None else {key: found.get(key, ABSENT) for key in conflicts | subs}


def _save_turn(turn: Turn, late: set[str], applied: Applied) -> Steps[set[str]]:
    """Touch split items, then write the shared items of a turn; the main keys of those in conflict.

    A sub-item is not written while its main item could expire before it.
    """
    conflicts = yield from _save(turn.touches(), late, applied)
    held = conflicts | late
    main = turn.place.main
    writes = [write for write in turn.shared_writes() if main(write.pk) not in held]
    not_acknowledged: set[str] = set()
    conflicts |= {main(key) for key in (yield from _save(writes, not_acknowledged, applied))}
    late |= {main(key) for key in not_acknowledged}
    return conflicts


def _save(writes: Sequence[Write], late: set[str], applied: Applied) -> Steps[set[str]]:
    """One round of writes: the keys in conflict; those not acknowledged join `late`."""
    answers: Sequence[Saved] = (yield Save(writes)) if writes else ()
    conflicts = set()
    for write, saved in zip(writes, answers, strict=True):
        if saved is Saved.DONE:
            applied.done.append(write)
        elif saved is Saved.CONFLICT:
            conflicts.add(write.pk)
        else:
            late.add(write.pk)
    applied.conflicts += len(conflicts)
    return conflicts
