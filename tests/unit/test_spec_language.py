"""The whole spec language: what each key becomes, what decides a definition hash, what is refused and how."""

import pytest

from common.errors import InvalidInputError
from stream_features.ops import OPS
from stream_features.spec import from_json, parse, retention_ms, to_json

DAY_MS = 86_400_000

HEAD = """\
[event]
id = "id"
time = "at"
label = "fraud"
fields = { amount = "decimal(2)", kind = "string?", lat = "float", n = "int", on = "bool?" }

[entities]
card = "card_id"
shop = "shop_id"

[[feature]]
name = "f"
"""  # the feature's header stands on line 11, its keys from line 13 on

COMPUTABLE = {
    "value": 'of = "lat"',
    "one_of": 'of = "kind"\nvalues = ["a", "b"]',
    "hour": 'timezone = "Asia/Tokyo"',
    "weekday": "",
    "is_weekend": "default = 1",
    "hour_between": "hours = [22, 4]",
    "log1p": 'of = "amount"',
    "count": 'entity = "card"\nwindows = ["1h"]\ndelay = "1d"\nwhere = { kind = "a" }',
    "sum": 'entity = "card"\nof = "amount"\nwindows = ["1h"]\ndelay = "1d"\nwhere = { on = true }',
    "mean": 'entity = "shop"\nof = "n"\nwindows = ["90d"]',
    "min": 'entity = "card"\nof = "amount"\nwindows = ["1h"]',
    "max": 'entity = "card"\nof = "on"\nwindows = ["1h"]',
    "std": 'entity = "card"\nof = "amount"\nwindows = ["1h"]',
    "distinct": 'entity = "card"\nof = "shop"\nwindows = ["1h"]\nwhere = { n = 3 }',
    "is_new": 'entity = "card"\nof = "kind"\nwindows = ["1h"]',
    "label_count": 'entity = "card"\nwindows = ["1h"]\ndelay = "1d"',
    "label_rate": 'entity = "card"\nwindows = ["1h"]',
    "since_last": 'entity = "card"',
    "last": 'entity = "card"\nof = "amount"',
    "same_as_last": 'entity = "shop"\nof = "card"',
    "ewma": 'entity = "card"\nof = "amount"\nhalf_life = "90d"',
    "ratio": 'of = "g"\nto = "h"',
    "difference": 'of = "g"\nto = "h"',
    "zscore": 'of = "g"\nto = "h"\nstd = "g"',
}
OTHERS = """
[[feature]]
name = "g"
op = "hour"
[[feature]]
name = "h"
op = "weekday"
"""


def feature(keys: str, **event: object):
    head = HEAD.replace(
        'label = "fraud"\n', 'label = "fraud"\n' + "".join(f"{k} = {v}\n" for k, v in event.items())
    )
    return parse(head + keys + OTHERS).features[0]


def refusal(keys: str, others: str = OTHERS) -> str:
    with pytest.raises(InvalidInputError) as refused:
        parse(HEAD + keys + others, "my.toml")
    return str(refused.value)


@pytest.mark.parametrize("op", OPS)
def test_every_op_of_the_language_parses_and_survives_its_json(op):
    spec = parse(HEAD + f'op = "{op}"\n{COMPUTABLE[op]}' + OTHERS)
    assert spec.features[0].op == op
    assert from_json(to_json(spec)) == spec


def test_definition_hashes_of_different_definitions_differ():
    hashes = {feature(f'op = "{op}"\n{keys}').hash for op, keys in COMPUTABLE.items()}
    assert len(hashes) == len(OPS)


def test_where_is_kept_by_field_in_the_units_of_the_field():
    found = feature(
        'op = "count"\nentity = "card"\nwindows = ["1h"]\nwhere = { kind = "a", amount = 12.30, n = 5 }'
    )
    assert found.where == (("amount", 1230), ("kind", "a"), ("n", 5))


@pytest.mark.parametrize(
    ("written", "scaled"), [("0.29", 29), ("1e2", 10_000), ("-7", -700), ("90071992547409.91", 2**53 - 1)]
)
def test_a_decimal_is_scaled_exactly(written, scaled):
    assert feature(f'op = "one_of"\nof = "amount"\nvalues = [{written}]').values == (scaled,)


def test_the_order_of_values_and_of_where_says_nothing():
    assert feature('op = "one_of"\nof = "n"\nvalues = [2, 1]') == feature(
        'op = "one_of"\nof = "n"\nvalues = [1, 2]'
    )
    count = 'op = "count"\nentity = "card"\nwindows = ["1h"]\nwhere = '
    assert feature(count + "{ n = 1, on = true }") == feature(count + "{ on = true, n = 1 }")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('of = "n"\nvalues = [1]', 'of = "n"\nvalues = [2]'),
        ('of = "kind"\nvalues = ["a"]', 'of = "kind"\nvalues = ["a", "b"]'),
    ],
)
def test_listed_values_are_part_of_the_definition(one, other):
    assert feature('op = "one_of"\n' + one).hash != feature('op = "one_of"\n' + other).hash


def test_where_delay_half_life_and_timezone_are_part_of_the_definition():
    count = 'op = "count"\nentity = "card"\nwindows = ["1h"]'
    counts = [count, count + "\nwhere = { n = 1 }", count + "\nwhere = { n = 2 }", count + '\ndelay = "1h"']
    ewma = 'op = "ewma"\nentity = "card"\nof = "n"\nhalf_life = '
    others = [ewma + '"1d"', ewma + '"2d"', 'op = "hour"', 'op = "hour"\ntimezone = "Asia/Tokyo"']
    assert len({feature(keys).hash for keys in counts + others}) == 8


def test_the_field_that_where_reads_is_part_of_the_definition():
    keys = 'op = "count"\nentity = "card"\nwindows = ["1h"]\nwhere = { kind = "a" }'
    nested = parse((HEAD + keys).replace("string?", "string? @ deep.kind")).features[0]
    assert nested.hash != feature(keys).hash


def test_the_number_of_exact_events_is_part_of_what_a_window_answers_and_of_nothing_else():
    for op, keys in COMPUTABLE.items():
        usual, few = (feature(f'op = "{op}"\n{keys}', **event) for event in ({}, {"exact_events": 16}))
        assert (usual.hash != few.hash) == (OPS[op].scope == "window"), op
    assert feature('op = "hour"', exact_events=128).hash == feature('op = "hour"').hash


def test_a_derived_features_hash_follows_what_it_reads_and_not_how_that_is_called():
    keys = 'op = "ratio"\nof = "g"\nto = "h"'
    renamed = parse(HEAD + keys.replace('"g"', '"gg"') + OTHERS.replace('"g"', '"gg"')).features[0]
    changed = parse(HEAD + keys + OTHERS.replace("weekday", "is_weekend")).features[0]
    swapped = parse(HEAD + 'op = "ratio"\nof = "h"\nto = "g"' + OTHERS).features[0]
    assert feature(keys).hash == renamed.hash
    assert len({feature(keys).hash, changed.hash, swapped.hash}) == 3


def test_an_entitys_own_name_is_no_part_of_a_definition():
    keys = 'op = "distinct"\nentity = "card"\nof = "shop"\nwindows = ["1h"]'
    text = HEAD + keys
    renamed = parse(text.replace('shop = "', 'store = "').replace('of = "shop"', 'of = "store"')).features[0]
    assert renamed.of == "store"
    assert renamed.hash == feature(keys).hash


def test_a_window_goes_into_what_a_derived_block_reads():
    text = HEAD.replace('"f"', '"mean_{window}"') + (
        'op = "mean"\nentity = "card"\nof = "n"\nwindows = ["1h", "1d"]\n'
        '[[feature]]\nname = "share_{window}"\nop = "ratio"\nof = "n"\nto = "mean_{window}"\n'
        'windows = ["1h", "1d"]\n'
        '[[feature]]\nname = "n"\nop = "value"\nof = "n"\n'
    )
    spec = parse(text)
    assert spec.feature_names == ("mean_1h", "mean_1d", "share_1h", "share_1d", "n")
    assert [f.to for f in spec.features[2:4]] == ["mean_1h", "mean_1d"]
    assert [f.window_ms for f in spec.features[2:4]] == [0, 0]


def test_history_ops_keep_state_for_ninety_days():
    last = parse(HEAD + 'op = "since_last"\nentity = "card"\n')
    assert (retention_ms(last, "card"), retention_ms(last, "shop")) == (90 * DAY_MS, 1)


WINDOW = 'entity = "card"\nwindows = ["1h"]\n'


@pytest.mark.parametrize(
    ("keys", "line", "says"),
    [
        ('op = "counts"', 13, "op 'counts' is unknown; did you mean 'count'; use one of value, one_of"),
        ("op = 7", 13, "'op' must be a text"),
        ("", 11, "'op' must be a text"),
        (
            'op = "hour"\ntimzone = "UTC"',
            14,
            "unknown key 'timzone'; did you mean 'timezone'; op 'hour' takes: ",
        ),
        ('op = "hour"\ntimezone = "Europe/Pari"', 14, "did you mean 'Europe/Paris'"),
        ('op = "hour"\ntimezone = "here"', 14, "such as 'Europe/Paris'"),
        ('op = "hour"\ntimezone = 1', 14, "'timezone' must be a text"),
        ('op = "hour"\nentity = "card"', 14, "it reads the event alone; leave it out"),
        ('op = "hour"\nwindows = ["1d"]', 14, "it reads the event alone; leave it out"),
        ('op = "hour_between"', 11, "op 'hour_between' needs 'hours': add hours = [0, 6]"),
        ('op = "hour_between"\nhours = [0, 24]', 14, "0 to 23"),
        ('op = "hour_between"\nhours = [0, 1.5]', 14, "two whole hours"),
        ('op = "hour_between"\nhours = 6', 14, "two whole hours"),
        ('op = "one_of"\nof = "kind"', 11, "needs 'values': add values = "),
        ('op = "one_of"\nof = "kind"\nvalues = []', 15, "a list of 1 to 1,000"),
        ('op = "one_of"\nof = "kind"\nvalues = "a"', 15, "a list of 1 to 1,000"),
        ('op = "one_of"\nof = "kind"\nvalues = [1]', 15, "'kind' is a string; write a text in quotes"),
        ('op = "one_of"\nof = "n"\nvalues = ["1"]', 15, "'n' is a number; write one without quotes"),
        ('op = "one_of"\nof = "n"\nvalues = [true]', 15, "'n' is a number"),
        ('op = "one_of"\nof = "n"\nvalues = [1.5]', 15, "n: more than 0 decimals"),
        ('op = "one_of"\nof = "n"\nvalues = [nan]', 15, "'n' is a number"),
        ('op = "one_of"\nof = "n"\nvalues = [1e999]', 15, "beyond ±2^53"),
        ('op = "one_of"\nof = "n"\nvalues = [1, 1]', 15, "listed twice"),
        ('op = "one_of"\nof = "amount"\nvalues = [0.125]', 15, "amount: more than 2 decimals"),
        ('op = "one_of"\nof = "on"\nvalues = [1]', 15, "'on' is a bool; write true or false"),
        ('op = "one_of"\nof = "lat"\nvalues = [1]', 14, "declare it decimal(n)"),
        ('op = "one_of"\nof = "card"\nvalues = ["a"]', 14, "no field 'card'"),
        ('op = "log1p"\nof = "kind"', 14, "'kind' is a string, log1p takes a number"),
        ('op = "value"\nof = ["n"]', 14, "'of' must be a text"),
        ('op = "value"', 11, "needs 'of': add of = one of amount, kind, lat, n, on"),
        (f'op = "count"\n{WINDOW}where = {{}}', 16, "must be a table such as"),
        (f'op = "count"\n{WINDOW}where = "kind"', 16, "must be a table such as"),
        (f'op = "count"\n{WINDOW}where = {{ kid = "a" }}', 16, "where: no field 'kid'; did you mean 'kind'"),
        (f'op = "count"\n{WINDOW}where = {{ card = "a" }}', 16, "where: no field 'card'"),
        (f'op = "count"\n{WINDOW}where = {{ kind = ["a"] }}', 16, "write a text in quotes"),
        (f'op = "count"\n{WINDOW}where = {{ lat = 1.0 }}', 16, "declare it decimal(n)"),
        (f'op = "count"\n{WINDOW}where.kind = 3', 16, "write a text in quotes"),
        (
            f'op = "count"\n{WINDOW}half_life = "1d"',
            16,
            "op 'count' takes no 'half_life': it takes default, delay",
        ),
        (f'op = "count"\n{WINDOW}delay = "0d"', 16, "is no duration"),
        ('op = "count"\nentity = ["card"]\nwindows = ["1h"]', 14, "'entity' must be a text"),
        ('op = "count"\nentity = "card"', 11, 'needs \'windows\': add windows = ["1d", "7d"]'),
        ('op = "count"\nwindows = ["1h"]', 11, "needs 'entity': add entity = \"card\""),
        (
            f'op = "label_rate"\n{WINDOW}where = {{ kind = "a" }}',
            16,
            "label records do not carry the event's fields",
        ),
        (f'op = "label_count"\n{WINDOW}of = "n"', 16, "op 'label_count' takes no 'of'"),
        ('op = "is_new"\nentity = "card"\nof = "kind"', 11, "op 'is_new' needs 'windows'"),
        (f'op = "is_new"\n{WINDOW}of = "kind"\ndelay = "1d"', 17, "remembered by when it was last seen"),
        (f'op = "distinct"\n{WINDOW}of = "kind"\ndelay = "1d"', 17, "remembered by when it was last seen"),
        (f'op = "distinct"\n{WINDOW}of = "card"', 16, "is its own entity"),
        (f'op = "distinct"\n{WINDOW}of = "lat"', 16, "declare it decimal(n)"),
        (f'op = "distinct"\n{WINDOW}of = "shp"', 16, "or another entity: card, shop"),
        (f'op = "sum"\n{WINDOW}of = "shop"', 16, "no field 'shop'"),
        (f'op = "std"\n{WINDOW}of = "lat"', 16, "std is exact and 'lat' is a float; declare it decimal(n)"),
        (
            'op = "since_last"\nentity = "card"\nwindows = ["1h"]',
            15,
            "looks back on the entity's whole history",
        ),
        ('op = "since_last"\nentity = "card"\nwhere = { n = 1 }', 15, "90 days at most; leave it out"),
        ('op = "last"\nentity = "card"\nof = "n"\ndelay = "1h"', 16, "leave it out"),
        ('op = "last"\nentity = "card"\nof = "kind"', 15, "is a string"),
        ('op = "same_as_last"\nentity = "card"\nof = "card"', 15, "is its own entity"),
        ('op = "ewma"\nentity = "card"\nof = "n"', 11, "needs 'half_life': add half_life = \"7d\""),
        ('op = "ewma"\nentity = "card"\nof = "n"\nhalf_life = "91d"', 16, "longer than 90 days"),
        ('op = "ratio"\nof = "g"', 11, "needs 'to': add to = the name of another feature"),
        ('op = "ratio"\nof = "g"\nto = "hh"', 15, "to: no feature 'hh'; did you mean 'h'"),
        ('op = "ratio"\nof = "n"\nto = "h"', 14, "of: no feature 'n'"),
        ('op = "ratio"\nof = "g"\nto = "g"', 15, "it says nothing"),
        ('op = "ratio"\nof = "f"\nto = "g"', 14, "reads itself: f → f"),
        ('op = "ratio"\nof = "g"\nto = "h"\nentity = "card"', 16, "whatever entity and windows"),
        ('op = "ratio"\nof = "g"\nto = "h"\nwindows = ["1h"]', 16, "put {window} in of, to or std"),
        ('op = "ratio"\nof = "g_{window}"\nto = "h"', 14, "of has {window} in it: add windows"),
        ('op = "ratio"\nof = "g"\nto = "h"\nstd = "h"', 16, "op 'ratio' takes no 'std'"),
        ('op = "zscore"\nof = "g"\nto = "h"', 11, "needs 'std'"),
        ('op = "hour"\ndefault = true', 14, "must be a number"),
        ('op = "hour"\ndefault = "0"', 14, "must be a number"),
        ('op = "hour"\ndefault = inf', 14, "within ±2^53"),
        ('op = "hour"\nreason = ""', 14, "'reason' must be a text"),
        ('op = "hour"\nreason = "at {valeu}"', 14, "reason: {valeu} stands for nothing; use {value}"),
        ('op = "hour"\nreason = "at {value:.2f}"', 14, "{value:.2f} stands for nothing"),
        ('op = "hour"\nreason = "at {value!r}"', 14, "{value!r} stands for nothing"),
        ('op = "hour"\nreason = "at {}"', 14, "{} stands for nothing"),
        ('op = "hour"\nreason = "{window}"', 14, "{window} stands for nothing"),
        ('op = "hour"\nreason = "at {value"', 14, "a brace stands alone"),
        ('op = "hour"\nreason = "at }"', 14, "a brace stands alone"),
        ('op = "hour"\nreason = "at {{value}}"', 14, "braces cannot be shown"),
        (f'op = "hour"\nreason = "{"x" * 201}"', 14, "has 201 characters, at most 200"),
        ('op = "hour"\nop = "hour"', 14, "not valid TOML"),
        ("op = hour", 13, "not valid TOML"),
    ],
)
def test_a_misspelt_or_absurd_feature_is_refused_with_line_key_and_remedy(keys, line, says):
    message = refusal(keys + "\n")
    assert message.startswith(f"my.toml:{line}: ")
    assert says in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('time = "at"', 'time = "id"', 3, "'time' and 'id' are both 'id'"),
        ('label = "fraud"', 'label = "at"', 4, "'label' and 'time' are both 'at'"),
        ('label = "fraud"', 'label_known_after = "7d"', 4, "name the 'label' too"),
        ('label = "fraud"', "exact_events = 0", 4, "from 1 to 1,024"),
        ('label = "fraud"', "exact_events = 1025", 4, "from 1 to 1,024"),
        ('label = "fraud"', "exact_events = true", 4, "from 1 to 1,024"),
        ('label = "fraud"', 'keep = "amount"', 4, "must be a list of field names"),
        ('label = "fraud"', 'keep = [["amount"]]', 4, "must be a list of field names"),
        ('label = "fraud"', 'lable = "fraud"', 4, "unknown key 'lable'; did you mean 'label'"),
        ("decimal(2)", "decimal(13)", 5, "n up to 12"),
        ("decimal(2)", "Decimal(2)", 5, "is no type"),
        ('"float"', '"float @ a..b"', 5, "is no type"),
        ('"float"', "7", 5, "is no type"),
        ("{ amount", '{ "" = "int", amount', 5, "is no type"),
        ('card = "card_id"', 'card = "id"', 8, "is the event's id already"),
        ('card = "card_id"', 'card = "fraud"', 8, "is the label already"),
        ('shop = "shop_id"', 'shop = "card_id"', 9, "is entity 'card' already"),
        ('card = "card_id"', "card = 7", 8, "'card' must be a text"),
        ('name = "f"', 'name = "f_{window}"', 12, "name has {window} in it: add windows"),
        ('name = "f"', 'name = "f g"', 12, "use letters"),
        ('name = "f"', 'name = ""', 12, "'name' must be a text"),
        ('name = "f"', 'name = "g"', 16, "another feature"),
        ('name = "f"', 'name = "card_id"', 12, "has the name of an entity"),
        ("[[feature]]", "[[features]]", 11, "unknown key 'features'; did you mean 'feature'"),
        ("[[feature]]", "[feature]", 11, "no [[feature]] is declared"),
    ],
)
def test_a_misspelt_or_absurd_head_is_refused_with_line_key_and_remedy(old, new, line, says):
    assert old in HEAD
    others = OTHERS.replace("[[feature]]", new) if "feature" in new and new[0] == "[" else OTHERS
    others = "" if new == "[feature]" else others
    with pytest.raises(InvalidInputError) as refused:
        parse(HEAD.replace(old, new) + 'op = "hour"\n' + others, "my.toml")
    assert str(refused.value).startswith(f"my.toml:{line}: ")
    assert says in str(refused.value)


def test_a_reason_is_kept_by_the_spec_and_is_no_part_of_the_definition():
    told, untold = feature('op = "hour"\nreason = "at {value} o\'clock"'), feature('op = "hour"')
    assert (told.reason, untold.reason) == ("at {value} o'clock", "")
    assert told.hash == untold.hash


def test_a_reason_names_its_window():
    keys = 'op = "count"\nentity = "card"\nwindows = ["1h"]\nreason = "{value} in {window}"'
    assert feature(keys).reason == "{value} in 1h"


def test_a_circle_of_features_is_named():
    circle = OTHERS.replace('op = "hour"', 'op = "difference"\nof = "f"\nto = "h"')
    message = refusal('op = "ratio"\nof = "g"\nto = "h"\n', circle)
    assert "f → g → f" in message or "g → f → g" in message


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "9" * 5000, "\x00", "a = 1\na = 2"])
def test_no_text_however_odd_raises_anything_but_our_own_error(text):
    with pytest.raises(InvalidInputError, match=r"my\.toml:\d+: not valid TOML"):
        parse(text, "my.toml")
