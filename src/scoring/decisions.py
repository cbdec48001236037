"""The decisions table: the first decision about an event stands, whatever is replayed.

An item is written by INSERT. Where there is one already it may be a label's stub (a label that came first):
the decision joins it by an UPDATE that requires `scored_at` to be missing. If that fails too, a decision
stands, and what stands is what is published. A label updates an item unless a later label is there, or
becomes a stub.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from common.aws import RemainingMs
from common.dynamodb import DynamoDB, Outcome, Statement
from common.errors import TransientError
from scoring.items import Item, Label, Value, about_bytes, label_values, number, stub_item

_SHOWN = (
    "pk entity event_time scored_at arrival latency_ms score decision reasons rules model policy spec kept "
    "source trace second_path_score label label_time features request entities challenger propensity cut"
)
_ATTRIBUTES = _SHOWN.split()
_LABEL_TRIES = 4
_REFUSED = (Outcome.CONDITION_FAILED, Outcome.DUPLICATE)


class Written(NamedTuple):
    """`made` are new decisions, `stood` those the table held already, as it holds them; `unfinished` are
    ids.
    """

    made: list[Item]
    stood: list[Item]
    labels: int
    unfinished: set[str]


class Decisions:
    """The decisions table of a stack."""

    def __init__(self, db: DynamoDB, table: str) -> None:
        self._db, self._table = db, table
        self._insert_texts: dict[tuple[str, ...], str] = {}

    def write(self, decisions: Sequence[Item], labels: Sequence[Label], remaining_ms: RemainingMs) -> Written:
        """Store decisions (one an id) and labels; a label whose decision is new goes with it in one write."""
        newest = _newest(labels)
        done = _Progress(decisions)
        self._insert(done, newest, remaining_ms)
        self._join_stubs(done, remaining_ms)
        rest = [label for label in newest.values() if label.id not in done.labelled | done.unfinished]
        done.unfinished |= self._label(rest, remaining_ms)
        stood = self._stored(done, remaining_ms)
        stored_labels = len(newest) - len(done.unfinished & newest.keys())
        return Written(done.made, stood, stored_labels, done.unfinished)

    def get(self, ids: Sequence[str], remaining_ms: RemainingMs) -> dict[str, Item]:
        """The items of these ids that exist, by id, stubs included; raises TransientError when time is up."""
        items = self._db.batch_get(self._table, ids, _ATTRIBUTES, remaining_ms)
        return {item["pk"]["S"]: item for item in items}

    def _insert(self, done: "_Progress", labels: Mapping[str, Label], remaining_ms: RemainingMs) -> None:
        whole = [
            item | (label_values(labels[id_]) if id_ in labels else {}) for id_, item in done.items.items()
        ]
        outcomes = self._db.execute([self._inserted(item) for item in whole], remaining_ms)
        for item, outcome in zip(whole, outcomes, strict=True):
            id_ = item["pk"]["S"]
            done.settle(id_, outcome, Outcome.DUPLICATE)
            if outcome is Outcome.OK and id_ in labels:
                done.labelled.add(id_)

    def _join_stubs(self, done: "_Progress", remaining_ms: RemainingMs) -> None:
        there = done.taken
        done.taken = []
        statements = [self._joined(done.items[id_]) for id_ in there]
        for id_, outcome in zip(there, self._db.execute(statements, remaining_ms), strict=True):
            done.settle(id_, outcome, Outcome.CONDITION_FAILED)

    def _label(self, labels: Sequence[Label], remaining_ms: RemainingMs) -> set[str]:
        """Write each label that is later than what is stored, on condition of what was read; the ids that
        could not be. A replay writes nothing.
        """
        unfinished: set[str] = set()
        for _ in range(_LABEL_TRIES):
            if not labels:
                break
            try:
                stored = self._label_times([label.id for label in labels], remaining_ms)
            except TransientError:
                break
            news = [n for n in labels if _is_later(n, stored.get(n.id))]
            outcomes = self._db.execute([self._labelled(n, stored) for n in news], remaining_ms)
            tried = list(zip(news, outcomes, strict=True))
            unfinished |= {label.id for label, outcome in tried if outcome is Outcome.THROTTLED}
            labels = [label for label, outcome in tried if outcome in _REFUSED]
        return unfinished | {label.id for label in labels}

    def _label_times(self, ids: Sequence[str], remaining_ms: RemainingMs) -> dict[str, int | None]:
        """When the stored label of each item that exists became known; None where there is none."""
        items = self._db.batch_get(self._table, ids, ("pk", "label_time"), remaining_ms)
        return {i["pk"]["S"]: int(i["label_time"]["N"]) if "label_time" in i else None for i in items}

    def _stored(self, done: "_Progress", remaining_ms: RemainingMs) -> list[Item]:
        """What the table holds where it held a decision before; one made on the other path gets our score
        beside it.
        """
        if not done.taken:
            return []
        try:
            stored = self.get(done.taken, remaining_ms)
        except TransientError:
            done.unfinished |= set(done.taken)
            return []
        other_path = [
            self._second_path(done.items[id_])
            for id_, item in stored.items()
            if item["source"] != done.items[id_]["source"] and "score" in done.items[id_]
        ]
        self._db.execute(
            other_path, remaining_ms
        )  # a measurement: a replay that finds it there changes nothing
        return list(stored.values())

    def _inserted(self, item: Item) -> Statement:
        names = tuple(item)
        text = self._insert_texts.get(names)  # there are as many as combinations of optional attributes
        if text is None:
            fields = ", ".join([f"'{name}': ?" for name in names])
            text = self._insert_texts[names] = f'INSERT INTO "{self._table}" VALUE {{{fields}}}'
        return Statement(text, list(item.values()), about_bytes(item))

    def _joined(self, item: Item) -> Statement:
        return self._update(item, '"scored_at" IS MISSING', [])

    def _labelled(self, label: Label, stored: Mapping[str, int | None]) -> Statement:
        """A stub where there was no item; else an update that fails if another label came since."""
        if label.id not in stored:
            return self._inserted(stub_item(label))
        item = {"pk": {"S": label.id}, **label_values(label)}
        if stored[label.id] is None:
            return self._update(item, '"label_time" IS MISSING', [])
        return self._update(item, '"label_time" < ?', [number(label.label_time_ms)])

    def _second_path(self, item: Item) -> Statement:
        mine = {"pk": item["pk"], "second_path_score": item["score"]}
        return self._update(mine, '"second_path_score" IS MISSING', [])

    def _update(self, item: Item, condition: str, parameters: list[Value]) -> Statement:
        names = [name for name in item if name != "pk"]
        sets = " ".join(f'SET "{name}" = ?' for name in names)
        text = f'UPDATE "{self._table}" {sets} WHERE "pk" = ? AND {condition}'  # noqa: S608 - our table
        return Statement(text, [*(item[name] for name in names), item["pk"], *parameters], about_bytes(item))


class _Progress:
    """Where each decision of one `write` stands."""

    def __init__(self, decisions: Iterable[Item]) -> None:
        self.items: dict[str, Item] = {}
        for item in decisions:
            self.items.setdefault(item["pk"]["S"], item)
        self.made: list[Item] = []
        self.taken: list[str] = []
        self.labelled: set[str] = set()
        self.unfinished: set[str] = set()

    def settle(self, id_: str, outcome: Outcome, refusal: Outcome) -> None:
        """Take down one outcome; `refusal` is the one that says another item was there first."""
        if outcome is Outcome.OK:
            self.made.append(self.items[id_])
        elif outcome is refusal:
            self.taken.append(id_)
        else:
            self.unfinished.add(id_)


def _newest(labels: Iterable[Label]) -> dict[str, Label]:
    """The label of each id with the latest label time; of two with the same, the first."""
    newest: dict[str, Label] = {}
    for label in labels:
        known = newest.get(label.id)
        if known is None or label.label_time_ms > known.label_time_ms:
            newest[label.id] = label
    return newest


def _is_later(label: Label, known_ms: int | None) -> bool:
    return known_ms is None or label.label_time_ms > known_ms
