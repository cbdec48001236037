"""Entities with `hash = true`: their values go no further than the decoder, and nothing else changes."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError, RecordRefusedError, ServiceError
from common.keyed_hash import hashed_id, key_of
from scoring import policy_file, rules
from stream_features.entity_ids import EntityIds, unhashed
from stream_features.entity_key import entity_key
from stream_features.events import Event, decoder
from stream_features.intake import take
from stream_features.spec import parse, to_json
from streamscore.entity_keys import VARIABLE, kept_id, key_of_environment
from streamscore.erasure.whom import whom
from streamscore.retraining.cleaning import clean
from streamscore.training.backfill import backfill, to_frame, write_features
from streamscore.training.final_states import final_states
from tests.served_in_memory import Memory
from tests.stream_events import kinesis_event

TEXT = """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "1h"
max_age = "3d"
keep = ["amount"]
fields = { amount = "decimal(2)" }
[entities]
card = CARD
shop = "shop_id"
[[feature]]
name = "sum_{window}"
entity = "card"
op = "sum"
of = "amount"
windows = ["1d"]
[[feature]]
name = "cards"
entity = "shop"
op = "distinct"
of = "card"
windows = ["1d"]
[[feature]]
name = "shops"
entity = "card"
op = "distinct"
of = "shop"
windows = ["1d"]
[[feature]]
name = "shop_count"
entity = "shop"
op = "count"
windows = ["1d"]
"""
PLAIN = parse(TEXT.replace("CARD", '"card_id"'))
HASHED = parse(TEXT.replace("CARD", '{ field = "card_id", hash = true }'))
KEY = key_of("a secret")
NOW_MS = 1_790_000_000_000


def event(card: Any, **more: Any) -> dict[str, Any]:
    return {"id": "e1", "at": NOW_MS, "card_id": card, "shop_id": "s1", "amount": 1.5, **more}


def data(card: Any, **more: Any) -> bytes:
    return json.dumps(event(card, **more)).encode()


# ---- the spec ----


def test_a_spec_without_hashes_is_what_it_was() -> None:
    assert parse(TEXT.replace("CARD", '{ field = "card_id" }')) == PLAIN
    assert unhashed(HASHED).entities == PLAIN.entities
    assert b'hash":true' not in to_json(PLAIN) and b'hash":true' in to_json(HASHED)


def test_hashing_changes_the_spec_and_the_definitions_that_read_the_entity() -> None:
    assert PLAIN.sha256 != HASHED.sha256
    pairs = zip(PLAIN.features, HASHED.features, strict=True)
    assert {one.name for one, other in pairs if one.hash != other.hash} == {"sum_1d", "cards", "shops"}


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ('{ field = "card_id", hash = 1 }', "'hash' must be true or false"),
        ("{ hash = true }", "'field' must be a text"),
        ('{ field = "card_id", hsh = true }', "unknown key 'hsh'"),
        ("5", "must be a text"),
    ],
)
def test_an_entity_is_written_in_one_of_two_ways(card: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"features.toml:11: .*{why}"):
        parse(TEXT.replace("CARD", card))


@pytest.mark.parametrize("field", ['card_id = "string"', 'copy = "string? @ card_id"'])
def test_no_field_may_carry_the_value_past_the_hash(field: str) -> None:
    text = TEXT.replace("fields = {", f"fields = {{ {field},")
    parse(text.replace("CARD", '"card_id"'))
    with pytest.raises(InvalidInputError, match="only a hash: leave the field out"):
        parse(text.replace("CARD", '{ field = "card_id", hash = true }'))


# ---- the key ----


def test_without_a_key_nothing_is_decoded() -> None:
    with pytest.raises(InvalidInputError, match="card_id: hash = true needs the stack's key"):
        decoder(HASHED)
    with pytest.raises(InvalidInputError, match=VARIABLE):
        key_of_environment(HASHED, {})
    assert key_of_environment(PLAIN, {}) is None
    assert key_of_environment(HASHED, {VARIABLE: "a secret"}) == KEY


class Secrets:
    def __init__(self, allowed: bool = True) -> None:
        self.asked, self._allowed = 0, allowed

    def get_secret_value(self, **request: str) -> dict[str, str]:
        assert request == {"SecretId": "the-secret"}
        self.asked += 1
        if not self._allowed:
            raise ServiceError("get_secret_value", "AccessDeniedException", "no", 400)
        return {"SecretString": "a secret"}


def test_the_secret_is_asked_for_only_where_something_is_hashed() -> None:
    secrets = Secrets()
    assert entity_key(PLAIN, lambda: secrets, "the-secret") is None
    assert secrets.asked == 0
    assert entity_key(HASHED, lambda: secrets, "the-secret") == KEY
    with pytest.raises(ServiceError):
        entity_key(HASHED, lambda: Secrets(allowed=False), "the-secret")


# ---- records ----

cards = st.text(min_size=1, max_size=20) | st.integers(-(10**9), 10**18)


@given(some=st.lists(cards, min_size=1, max_size=40))
def test_the_decoder_gives_the_hash_and_all_else_as_it_was(some: list[Any]) -> None:
    datas = [data(card, id=str(n)) for n, card in enumerate(some)]
    arrivals_ms = [NOW_MS] * len(some)
    sent = decoder(PLAIN).decode_all(datas, arrivals_ms)
    kept = decoder(HASHED, KEY).decode_all(datas, arrivals_ms)
    for raw, one, other in zip(datas, sent, kept, strict=True):
        assert isinstance(one, Event)
        assert isinstance(other, Event)
        card, shop = one.entities
        assert other.entities == (hashed_id(KEY, card), shop)
        assert [getattr(one, n) for n in ("id", "time_ms", "values", "kept")] == [
            getattr(other, n) for n in ("id", "time_ms", "values", "kept")
        ]
        assert decoder(HASHED, KEY).decode(raw, NOW_MS) == other
        assert decoder(HASHED, KEY).decode_as_sent(raw, NOW_MS) == one


def test_a_number_and_its_text_are_one_entity_and_keys_tell_stacks_apart() -> None:
    decode = decoder(HASHED, KEY).decode
    assert decode(data(4711), NOW_MS) == decode(data("4711"), NOW_MS) != decode(data("04711"), NOW_MS)
    assert decoder(HASHED, key_of("another")).decode(data(4711), NOW_MS) != decode(data(4711), NOW_MS)


@given(card=cards)
def test_what_is_hidden_decodes_to_the_same_and_holds_no_value(card: Any) -> None:
    decode, raw = decoder(HASHED, KEY), data(card, junk={"card_id": "nested"})
    hidden = decode.hidden(raw)
    assert decode.decode(hidden, NOW_MS) == decode.decode(raw, NOW_MS)
    assert decode.hidden(hidden) == hidden
    assert json.loads(hidden) == {**json.loads(raw), "card_id": hashed_id(KEY, str(card))}


@pytest.mark.parametrize(
    "raw",
    [
        data("4111111111111111", amount=float("nan")),
        data("4111111111111111")[:-1],
        data(4111111111111111)[:70],
        b'\xff{"card_id" :\n "4111111111111111"',
        b'{"card_id": "41111\\u00311111111111"',
        data(4111111111111111.5),
        data(["4111111111111111"]),
        data({"n": "4111111111111111"}),
    ],
)
def test_a_value_is_hidden_in_what_cannot_be_decoded_too(raw: bytes) -> None:
    hidden = decoder(HASHED, KEY).hidden(raw)
    assert b"41111" in raw
    assert b"41111" not in hidden
    with pytest.raises(RecordRefusedError):
        decoder(HASHED, KEY).decode(hidden, NOW_MS)


def test_what_goes_to_quarantine_is_hidden_and_else_as_it_came() -> None:
    old = data("4111", at=NOW_MS - 4 * 86_400_000)
    batch = kinesis_event([old, b"no json", data("4112")], NOW_MS)
    for spec, key, told in ((PLAIN, None, old), (HASHED, KEY, decoder(HASHED, KEY).hidden(old))):
        intake = take(batch, spec, decoder(spec, key))
        assert [one.record.data for one in intake.refused] == [told, b"no json"]
        assert [one.reason for one in intake.refused] == ["too_old", "bad_json"]
    assert intake.delivery.keys == [(f"card#{hashed_id(KEY, '4112')}", "shop#s1")]


# ---- serving, backfill, load-state ----


def history(count: int) -> list[dict[str, Any]]:
    times = [NOW_MS + n * 600_000 for n in range(count)]
    return [
        event(f"c{n % 3}", id=f"e{n}", at=at, shop_id=f"s{n % 2}", amount=n + 0.25, fraud=n % 5 == 0)
        for n, at in enumerate(times)
    ]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    pl.DataFrame(history(30)).write_csv(path)
    return path


def test_served_and_backfilled_features_are_equal_bit_for_bit_and_so_are_ids(events: Path) -> None:
    memory = Memory(HASHED, key=KEY)
    memory.deliver(history(30))
    whole = backfill(HASHED, events, key=KEY)
    assert {one.id: one.vector for one in memory.decided.values()} == {
        id_: row.tobytes() for id_, row in zip(whole.ids, whole.features, strict=True)
    }
    assert {one.id: one.primary for one in memory.decided.values()} == dict(
        zip(whole.ids, whole.entities[0], strict=True)
    )
    assert memory.compared_with(events).held
    plain = backfill(PLAIN, events)
    assert plain.features.tobytes() == whole.features.tobytes()
    assert [whole.state("card", hashed_id(KEY, f"c{n}")) for n in range(3)] == [
        plain.state("card", f"c{n}") for n in range(3)
    ]


def test_files_that_are_written_hold_hashes_and_the_state_is_found_by_them(
    events: Path, tmp_path: Path
) -> None:
    output, cleaned = tmp_path / "features.parquet", tmp_path / "cleaned.parquet"
    write_features(HASHED, events, output, key=KEY)
    kept = [hashed_id(KEY, f"c{n}") for n in range(3)]
    assert pl.read_parquet(output).equals(to_frame(backfill(HASHED, events, key=KEY)))
    assert set(pl.read_parquet(output)["card_id"]) == set(kept)
    clean(events, HASHED, cleaned, tmp_path / "refused", NOW_MS + 10**9, KEY)
    assert set(pl.read_parquet(cleaned)["card_id"]) == set(kept)
    again = tmp_path / "again.parquet"
    write_features(HASHED, cleaned, again, key=KEY)
    assert pl.read_parquet(again).equals(pl.read_parquet(output))
    states = final_states(HASHED, events, key=KEY)
    assert {pk for pk, _ in states.of(0)} == {f"card#{one}" for one in kept}
    with pytest.raises(InvalidInputError, match="needs the stack's key"):
        backfill(HASHED, events)


# ---- commands ----


class Stack:
    outputs = {"LogKeySecretArn": "the-secret"}

    def client(self, service: str) -> Any:
        assert service == "secretsmanager"
        return Secrets()


def test_commands_take_the_value_and_mean_the_hash() -> None:
    assert kept_id(Stack(), HASHED, "card", "4711") == hashed_id(KEY, "4711")
    assert kept_id(Stack(), HASHED, "shop", "s1") == "s1"
    with pytest.raises(InvalidInputError, match="terminal: not an entity"):
        kept_id(Stack(), HASHED, "terminal", "1")


def test_what_is_to_be_forgotten_is_known_by_its_hash_and_by_its_value() -> None:
    kept = hashed_id(KEY, "4711")
    who = whom(HASHED, "card", kept, "4711")
    assert who.keys[0] == f"card#{kept}"
    assert who.in_record(data("4711")) and who.in_record(data(kept)) and not who.in_record(data("4712"))
    assert who.masked(b'{"card_id":"4711","card_id": "' + kept.encode()) == (
        b'{"card_id":"****","card_id": "' + b"*" * len(kept)
    )


def test_ids_know_which_entities_they_hash() -> None:
    ids = EntityIds(HASHED, KEY)
    assert (ids.id(0, "4711"), ids.id(1, "s1")) == (hashed_id(KEY, "4711"), "s1")
    assert EntityIds(PLAIN, None).are_as_sent and not ids.are_as_sent


def test_a_rule_names_a_hashed_entity_by_its_hash() -> None:
    kept = hashed_id(KEY, "4711")
    text = """
fallback = "approve"
[[rule]]
name = "stolen"
decision = "block"
any = [{{ entity = "card", in = ["{}"] }}]
"""
    for listed, spec in ((kept, HASHED), (kept, PLAIN), ("4711", PLAIN)):
        rules.check(policy_file.parse(text.format(listed)), spec)
    with pytest.raises(InvalidInputError, match=r"known by its hash alone .*entity card VALUE --id"):
        rules.check(policy_file.parse(text.format("4711")), HASHED)
