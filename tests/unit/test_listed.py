"""Decisions as lines and as records: nothing private unasked, nothing a terminal would obey."""

import csv
import io

from hypothesis import given

from scoring.policy import Verdict
from stream_features import spec as specs
from streamscore.decided.listed import columns_of, line, record
from streamscore.decided.stored import Decided
from streamscore.moments import rfc3339
from tests.decided import decided
from tests.unit.test_bus import DECISION

SPEC = specs.parse("""
[event]
id = "id"
time = "at"
keep = ["amount", "model"]
fields = { amount = "decimal(2)", model = "string?" }
[entities]
card = "card"
terminal = "terminal"
[[feature]]
name = "hour"
op = "hour"
""")
ONE = Decided(DECISION, label=True, label_time_ms=1795600000000)


def by_column(one: Decided, with_entities: bool) -> dict[str, str]:
    columns = columns_of(SPEC, with_entities)
    return dict(zip(columns.header, record(one, columns), strict=True))


def test_a_record_names_every_value_and_sorts_by_when_it_was_decided() -> None:
    found = by_column(ONE, with_entities=True)
    assert found == {
        "scored_at": "2026-11-24T22:05:44.210Z",
        "id": "tx1042",
        "event_time": "2026-11-24T22:05:43.000Z",
        "decision": "block",
        "score": "0.973214",
        "reasons": "amount terminal_risk_7d",
        "rules": "large_amount_at_night",
        "propensity": "0.95",
        "model": "3da15a939aabbf0a",
        "policy": "7b6ed3a1c2f40d15",
        "source": "stream",
        "latency_ms": "189",
        "label": "true",
        "label_time": "2026-11-25T09:46:40.000Z",
        "challenger": "91c2d3e4f5a60718",
        "challenger_score": "0.911",
        "challenger_decision": DECISION.challenger.decision,
        "amount": "310.50",
        "kept_model": "",
        "card": "C17",
        "terminal": "T4",
    }
    assert rfc3339(999) < rfc3339(1000) < rfc3339(10_000_000_000)


def test_ids_of_entities_are_not_in_a_record_or_a_line_unless_asked_for() -> None:
    secret = ONE._replace(
        decision=DECISION._replace(entity="4017123412341234", entities={"terminal": "T-77"})
    )
    told = [*by_column(secret, with_entities=False).values(), line(secret)]
    assert not [text for text in told if "4017123412341234" in text or "T-77" in text]


def test_a_line_shows_what_a_terminal_would_obey() -> None:
    odd = ONE._replace(decision=DECISION._replace(id="\x1b[2J\n", reasons=()))
    assert line(odd) == "2026-11-24T22:05:44.210Z  block    0.973214  positive  \\x1b[2J\\n"
    bare = DECISION._replace(score=None, reasons=(), absent="no_model", verdict=Verdict("approve", ()))
    told = "2026-11-24T22:05:44.210Z  approve         -  open      tx1042  no_model"
    assert line(Decided(bare)) == told


@given(decided())
def test_any_decision_survives_a_csv_file(one: Decided) -> None:
    columns = columns_of(SPEC, with_entities=True)
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerow(record(one, columns))
    (read,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert read == record(one, columns)
    assert len(read) == len(columns.header)
    assert "\n" not in line(one)
