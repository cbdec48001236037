"""Streams for the world of tests/exactly_once.py: made by hand, one a rule, and drawn at random."""

from collections.abc import Sequence

from hypothesis import strategies as st

from stream_features.events import Event, Label, event_hash, label_hash
from stream_features.spec import Spec, parse

DAY_MS = 86_400_000
T0_MS = 1_700_000_000_000
FEATURE = """
[[feature]]
name = "{entity}_{op}_{{window}}"
entity = "{entity}"
op = "{op}"
windows = ["90d"]
"""
SPEC: Spec = parse(
    """
[event]
id = "id"
time = "time"
label = "fraud"
label_known_after = "1d"
keep = ["amount"]
fields = { amount = "int" }
[entities]
customer = "customer"
terminal = "terminal"
"""
    + "".join(
        FEATURE.format(entity=e, op=o) for e in ("customer", "terminal") for o in ("count", "label_count")
    )
    + "".join(FEATURE.format(entity=e, op="sum") + 'of = "amount"\n' for e in ("customer", "terminal"))
)

Streams = dict[str, list[tuple[int, list[Event | Label]]]]


def amount_of(name: str) -> int:
    return 0 if name == "probe" else 1 << (ord(name) - ord("a")) % 24


def event(name: str, minute: int, customer: str, terminal: str = "T") -> Event:
    """Event `a` has the amount 1, `b` 2, `c` 4 …: a sum over them says which were counted, and how often."""
    amount = amount_of(name)
    at = T0_MS + minute * 60_000
    return Event(name, event_hash(name), at, T0_MS, None, (customer, terminal), (amount,), (amount,))


def label(name: str, minute: int, customer: str, terminal: str = "T") -> Label:
    """The label of event `name`: a fraud, known a day later."""
    at = T0_MS + minute * 60_000
    return Label(name, label_hash(name), at, T0_MS, True, at + DAY_MS, (customer, terminal))


def correction(name: str, minute: int, customer: str, terminal: str = "T") -> Label:
    """A millisecond after the label it is said to be none."""
    at = T0_MS + minute * 60_000
    return Label(name, label_hash(name), at, T0_MS, False, at + DAY_MS + 1, (customer, terminal))


def stream(*entries: Event | Label | list[Event | Label], shard: str = "A", first: int = 1) -> Streams:
    """One shard; an entry that is a list is a KPL aggregate."""
    return {shard: [(first + n, e if isinstance(e, list) else [e]) for n, e in enumerate(entries)]}


E, L, X = event, label, correction
BY_HAND: dict[str, Streams] = {
    "two customers at one terminal": stream(E("a", 1, "C1"), E("b", 2, "C2")),
    "one customer twice": stream(E("a", 1, "C1"), E("b", 2, "C1")),
    "a duplicate in the batch": stream(E("a", 1, "C1"), E("a", 1, "C1"), E("b", 2, "C1")),
    "a duplicate, then its id forgotten": stream(
        E("a", 1, "C1"), E("a", 1, "C1"), E("b", 2, "C1", "U"), E("c", 3, "C1", "U")
    ),
    "a duplicate of a late event": stream(E("b", 5, "C1"), E("c", 6, "C1"), E("a", 1, "C1"), E("a", 1, "C1")),
    "aggregates": stream([E("a", 1, "C1"), E("b", 2, "C2")], [E("a", 1, "C1"), E("c", 3, "C1")]),
    "a label twice": stream(
        E("a", 1, "C1"), L("a", 1, "C1"), E("b", 2, "C1"), E("c", 3, "C1"), L("a", 1, "C1")
    ),
    "a label corrected": stream(
        E("a", 1, "C1"), L("a", 1, "C1"), X("a", 1, "C1"), L("a", 1, "C1"), E("b", 2, "C1")
    ),
    "a label first": stream(L("a", 1, "C1"), E("a", 1, "C1"), L("a", 1, "C1")),
    "three at two terminals": stream(
        E("a", 1, "C1"), E("b", 2, "C2", "U"), E("c", 3, "C1", "U"), E("d", 4, "C2")
    ),
    "a duplicate beyond a reshard": {
        **stream(E("a", 1, "C1")),
        **stream(E("a", 1, "C1"), E("b", 2, "C1"), shard="B", first=5),
    },
}
PARENTS = {"B": "A"}


def cut(streams: Streams, cutover_ms: int) -> Streams:
    """The streams without what is not later than the cut-over; positions stay."""

    def later(record: Event | Label) -> bool:
        return (record.time_ms if isinstance(record, Event) else record.label_time_ms) > cutover_ms

    return {
        shard: [(sequence, [r for r in inside if later(r)]) for sequence, inside in entries]
        for shard, entries in streams.items()
    }


NAMES = "abcdefghij"


@st.composite
def one_shard(draw: st.DrawFn) -> Streams:
    """Up to ten records: some repeated, late, labels, or in aggregates; each event has one customer."""
    homes = {name: (f"C{draw(st.integers(1, 3))}", draw(st.sampled_from("TU"))) for name in NAMES}
    minutes = {name: draw(st.integers(0, 9)) for name in NAMES}
    kinds = st.tuples(
        st.sampled_from(NAMES), st.sampled_from([event, event, event, label, label, correction])
    )
    picked = draw(st.lists(kinds, min_size=1, max_size=10))
    return stream(*_aggregates(draw, [make(name, minutes[name], *homes[name]) for name, make in picked]))


def _aggregates(draw: st.DrawFn, records: Sequence[Event | Label]) -> list[list[Event | Label]]:
    entries: list[list[Event | Label]] = []
    for record in records:
        if entries and draw(st.integers(0, 3)) == 3:
            entries[-1].append(record)
        else:
            entries.append([record])
    return entries


@st.composite
def many_shards(
    draw: st.DrawFn, *, corrections: bool = False, most: int = 3
) -> tuple[Streams, dict[str, str]]:
    """Shards A, B, …, C a child of A; customers keep to their shard, terminals do not."""
    shapes = [*_SHAPES, *_CORRECTED] if corrections else _SHAPES
    names = list(draw(st.permutations(NAMES)))
    streams: Streams = {}
    for number, shard in enumerate("ABCDE"[: draw(st.integers(2, most))]):
        records: list[Event | Label] = []
        for _ in range(draw(st.integers(1, 3 if most == 3 else 2))):
            name = names.pop()
            home = (f"{'A' if shard == 'C' else shard}{draw(st.integers(1, 2))}", draw(st.sampled_from("TU")))
            records += [make(name, ord(name), *home) for make in draw(st.sampled_from(shapes))]
        streams |= stream(*_aggregates(draw, records), shard=shard, first=100 * number + 1)
    return streams, {"C": "A"}


_SHAPES = [(event,), (event, event), (event, label), (label, event, label)]
_CORRECTED = [(event, label, correction), (label, event, correction, label)]
