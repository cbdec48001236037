from pathlib import Path

import pytest

from common.errors import InvalidInputError
from stream_features.spec import duration_ms, from_json, horizon_ms, parse, to_json

SHIPPED = Path(__file__).parents[2] / "src" / "features.toml"
DAY_MS = 86_400_000

SMALL = """\
[event]
id = "id"
time = "at"
label = "fraud"
fields = { amount = "decimal(2)", kind = "string?", lat = "float", n = "int @ a.b" }
[entities]
card = "card_id"
[[feature]]
name = "n_{window}"
entity = "card"
op = "count"
windows = ["1h"]
"""


def test_the_spec_that_ships_has_the_handbooks_fifteen_features():
    spec = parse(SHIPPED.read_text())
    assert len(spec.features) == 15
    assert spec.entities[0].name == "customer"
    assert horizon_ms(spec, "customer") == 30 * DAY_MS
    assert horizon_ms(spec, "terminal") == 37 * DAY_MS


def test_a_spec_survives_its_canonical_json():
    spec = parse(SHIPPED.read_text())
    assert from_json(to_json(spec)) == spec
    assert from_json(to_json(spec)).sha256 == spec.sha256


def test_layout_and_comments_do_not_change_the_sha256():
    assert parse(SMALL).sha256 == parse("# a comment\n" + SMALL.replace(" = ", "=")).sha256


def test_a_features_name_does_not_change_its_definition_hash_and_its_meaning_does():
    (first,) = parse(SMALL).features
    (renamed,) = parse(SMALL.replace("n_{window}", "count_{window}")).features
    (longer,) = parse(SMALL.replace("1h", "2h")).features
    assert first.hash == renamed.hash != longer.hash


def test_the_scale_of_its_field_is_part_of_a_features_meaning():
    text = SMALL.replace('op = "count"', 'op = "sum"\nof = "amount"')
    assert parse(text).features[0].hash != parse(text.replace("decimal(2)", "decimal(3)")).features[0].hash


def test_windows_become_one_feature_each_in_order():
    spec = parse(SMALL.replace('["1h"]', '["15m", "1h", "7d"]'))
    assert spec.feature_names == ("n_15m", "n_1h", "n_7d")
    assert [f.window_ms for f in spec.features] == [900_000, 3_600_000, 7 * DAY_MS]


def test_fields_know_their_kind_scale_and_path():
    fields = parse(SMALL).fields
    assert (fields["amount"].kind, fields["amount"].digits) == ("decimal", 2)
    assert fields["kind"].optional and not fields["amount"].optional
    assert fields["n"].path == ("a", "b")


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "1w", "1D", " 1d", 7, None])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('id = "id"', "id = 7", 2, "'id' must be a text"),
        ('time = "at"\n', "", 1, "'time'"),
        ('time = "at"', 'time = "at"\ncolour = "red"', 4, "unknown key 'colour'"),
        ("decimal(2)", "decimal(99)", 5, "is no type"),
        ('"int @ a.b"', '"money"', 5, "is no type"),
        ('card = "card_id"', 'card = ""', 7, "'card'"),
        ('card = "card_id"', '"a#b" = "card_id"', 7, "letters"),
        ('entity = "card"', 'entity = "cart"', 10, "no entity 'cart'; did you mean 'card'; known: card"),
        ('entity = "card"\n', "", 8, "needs 'entity'"),
        ('op = "count"', 'op = "cuont"', 11, "unknown"),
        ('op = "count"', 'op = "count"\nof = "amount"', 12, "op 'count' takes no 'of'"),
        ('op = "count"', 'op = "sum"\nof = "amuont"', 12, "no field 'amuont'; did you mean 'amount'"),
        ('op = "count"', 'op = "sum"\nof = "kind"', 12, "is a string"),
        ('op = "count"', 'op = "mean"\nof = "lat"', 12, "declare it decimal"),
        ('op = "count"', 'op = "count"\ndefault = nan', 12, "within"),
        ('op = "count"', 'op = "count"\ndelay = "91d"', 12, "90 days"),
        ('["1h"]', '["91d"]', 12, "longer than 90 days"),
        ('["1h"]', '["1 hour"]', 12, "is no duration"),
        ('["1h"]', "[]", 12, "must be a list"),
        ("n_{window}", "n", 9, ""),
        ("n_{window}", "fraud", 9, "has the name of the label"),
        ("n_{window}", "a b", 9, "letters"),
        ('fraud"\n', 'fraud"\nlabel_known_after = "soon"\n', 5, "is no duration"),
        ('fraud"\n', 'fraud"\nkeep = ["nothing"]\n', 5, "is not declared in 'fields'"),
        ('amount = "decimal(2)"', 'card_id = "int"', 5, "declare it string"),
        ('amount = "decimal(2)"', 'at = "int"', 5, "leave it out"),
        ("[entities]", "[entitys]", 6, "unknown key 'entitys'"),
    ],
)
def test_a_spec_that_cannot_be_computed_is_refused_with_its_line(old, new, line, says):
    assert old in SMALL
    text = SMALL.replace(old, new)
    if not says:
        text, says = text.replace('["1h"]', '["1h", "2h"]'), "several windows"
    with pytest.raises(InvalidInputError) as refused:
        parse(text, "my.toml")
    assert str(refused.value).startswith(f"my.toml:{line}: ")
    assert says in str(refused.value)


def test_a_name_that_is_used_twice_is_refused():
    with pytest.raises(InvalidInputError, match="another feature"):
        parse(SMALL + SMALL[SMALL.index("[[feature]]") :])


def test_label_features_need_a_label():
    text = SMALL.replace('label = "fraud"\n', "").replace('"count"', '"label_rate"')
    with pytest.raises(InvalidInputError, match="names no 'label'"):
        parse(text)


@pytest.mark.parametrize("text", ["", "[event]", "x = ", "[event]\nid='a'\ntime='b'\n[entities]\nc='d'\n"])
def test_a_spec_without_its_parts_is_refused(text):
    with pytest.raises(InvalidInputError):
        parse(text)


SHIPPED_HASHES = {
    "amount": "9ab64d01016756e3",
    "is_weekend": "a5c136e26953ff9a",
    "is_night": "ee15806e38951891",
    "customer_count_1d": "0aed9656cd2c140f",
    "customer_count_7d": "803b5025c9d612de",
    "customer_count_30d": "48906239307ba664",
    "customer_amount_mean_1d": "7571a42e5fd8d5ac",
    "customer_amount_mean_7d": "937e15f6c9e4ee28",
    "customer_amount_mean_30d": "57b78a383e60c121",
    "terminal_count_1d": "83af42b084dfa6bc",
    "terminal_count_7d": "7e47abfa22c751f6",
    "terminal_count_30d": "e6c68c94cc04c7f9",
    "terminal_risk_1d": "f491325d3a3e60ac",
    "terminal_risk_7d": "c09bd9d200ca4542",
    "terminal_risk_30d": "4c581c0b4ecb96ef",
}


def test_the_definition_hashes_of_what_shipped_never_change():
    spec = parse(SHIPPED.read_text())
    assert dict(zip(spec.feature_names, spec.definition_hashes, strict=True)) == SHIPPED_HASHES
