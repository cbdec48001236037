"""A batch decodes to what its records decode to one by one: the same values, or the same refusals."""

import json
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.errors import RecordRefusedError
from stream_features import values
from stream_features.careful_decoder import CarefulDecoder
from stream_features.events import decoder
from stream_features.quick_decoder import QuickDecoder
from stream_features.spec import parse
from stream_features.written_times import written_ms

NOW = 1_700_000_000_000
SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
trace = "trace"
keep = ["kind", "amount", "card"]
max_age = "3d"
[event.fields]
amount = "decimal(2)"
kind = "string?"
lat = "float?"
lon = "float"
big = "int?"
fine = "decimal(12)?"
n = "int? @ deep.n"
where = "string? @ deep.er.where"
ok = "bool?"
card = "string"
type = "string?"
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "amount_now"
op = "value"
of = "amount"
"""
)
UNLABELLED = parse(
    """
[event]
id = "id"
time = "at"
[entities]
card = "card"
[[feature]]
name = "night"
op = "hour_between"
hours = [22, 4]
"""
)
GOOD = {"id": "e1", "at": NOW, "card": "0012", "shop": 7, "amount": 12.5, "kind": "web", "lon": -1.5}
LABEL = {"type": "label", "fraud": True, "label_time": NOW, **GOOD}

ODD_NUMBERS = [
    *(
        "0",
        "-0",
        "-0.0",
        "0.0",
        "0.000",
        "-0.05",
        "1.",
        ".5",
        "01",
        "+1",
        "1e2",
        "0.1e1",
        "1E-2",
        "2e400",
        "1e-400",
    ),
    *(
        f"{2**53}",
        f"-{2**53}",
        f"{2**53 + 1}",
        f"-{2**53}.0",
        f"{2**63}",
        f"-{2**63}",
        f"{2**64}",
        "9" * 5000,
    ),
    *(
        "90071992547409.92",
        "90071992547409.93",
        "123456789012345",
        "12.34",
        "12.340",
        "12.345",
        "-1e999",
        "1e999999",
    ),
    *("9007.199254740992", "9007.199254740993", "0.0000000000001", "0." + "0" * 5000, "12345678901234567.89"),
    *(
        f"{NOW}",
        f"{NOW // 1000}",
        f"{NOW / 1000}",
        f"{NOW + 3 * 86_400_000 + 1}",
        f"{NOW - 3 * 86_400_000 - 1}",
    ),
    *(
        "99999999999",
        "100000000000",
        "2.2250738585072011e-308",
        "9007199254740993.0",
        "0.1",
        "1e23",
        "8.5e15",
    ),
]
ODD_CLOCKS = [
    *(
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20",
        "2023-11-14t24:00:00",
        "1969-12-31T23:59:59",
        "2023-11-14",
    ),
    *("2023-02-29T00:00:00", "2023-11-00T00:00:00", "2023-13-01T00:00:00", "2023-00-01T00:00:00", ""),
    *(
        "2023-11-14T22:60:00",
        "2023-11-14T22:13:60",
        "2023-11-14T22:13:2x",
        "2023-11-14T22:13:2é",
        "2023-11-31T00:00:00",
    ),
    *(
        "1970-01-01T00:30:00",
        "2200-01-01T00:00:00",
        "0000-11-14T22:13:20",
        "٢٠٢٣-11-14T22:13:20",
        "2023/11-14T22:13:20",
    ),
]
FRACTIONS = ["", ".5", ".123", ".123456", ".1234567890123", ".", ".12x", ",5", ". 5", ".-12"]
ZONES = [
    "",
    "Z",
    "z",
    "ZZ",
    "+00:00",
    "-00:00",
    "+01:30",
    "-12:00",
    "+24:00",
    "+00:60",
    "+0100",
    "+1:00",
    " ",
]
ODD_TEXTS = ["label", "0012", "x" * 85, "x" * 86, "x" * 128, "x" * 129, "x" * 256, "é" * 512, "é" * 513]
ODD_TEXTS += ["x" * 1024, "x" * 1025, "", " ", "a\nb", "\x00", "😀", "12.50", "true", "null"]
ODD_JSON = [
    *(
        "null",
        "true",
        "false",
        "{}",
        "[]",
        "NaN",
        "-Infinity",
        "nul",
        '"label',
        "12,5",
        "[1",
        "1]",
        "1}",
        '"a" "b"',
    ),
    *(
        '{"n": 3}',
        '{"n": null}',
        '{"n": 3, "er": {"where": "here"}}',
        '{"er": null}',
        '{"er": 5}',
        '{"n": "3"}',
    ),
    *(
        '{"er": {"where": 5}}',
        '{"n": 3, "n": 4}',
        r'{"\ud800": 5, "n": 3}',
        '{"n": 1.5}',
        '[{"n": 3}]',
        "1",
        "2",
    ),
    *(
        r'"\u006cabel"',
        r'"\ud800"',
        r'"\ud83d\ude00"',
        r'"\x"',
        "[" * 2000 + "]" * 2000,
        '{"a":' * 900 + "1" + "}" * 900,
    ),
    *(r'"' + r"\u00e9" * times + '"' for times in (85, 86, 150, 170, 171, 256)),
    *(r'"' + r"\ud83d\ude00" * times + '"' for times in (85, 86, 128)),
]
ODD = [
    *ODD_NUMBERS,
    *ODD_JSON,
    *map(json.dumps, ODD_TEXTS),
    *(json.dumps(text, ensure_ascii=False) for text in ODD_TEXTS),
    *(json.dumps(clock + zone) for clock in ODD_CLOCKS for zone in ("", "Z")),
    *(json.dumps(ODD_CLOCKS[0] + fraction + zone) for fraction in FRACTIONS for zone in ZONES),
]

numbers = st.one_of(
    st.integers(-(10**16), 10**16).map(str),
    st.integers(-(10**22), 10**22).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18).map(
        lambda number: format(number, "f")[:40]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
days = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30))  # noqa: DTZ001
clocks = st.sampled_from(ODD_CLOCKS) | days.map(datetime.isoformat)
times = st.builds("{}{}{}".format, clocks, st.sampled_from(FRACTIONS), st.sampled_from(ZONES))
texts = st.text(st.sampled_from('ab"\\é😀\n\x00 ,-.0'), max_size=90)
json_texts = st.one_of(
    st.sampled_from(ODD),
    numbers,
    times.map(json.dumps),
    texts.map(json.dumps),
    texts.map(lambda text: json.dumps(text, ensure_ascii=False)),
)
KEYS = [*LABEL, "trace", "lat", "big", "fine", "deep", "ok", "redrive", "unknown"]
keys = st.sampled_from(KEYS)
good = st.sampled_from([GOOD, GOOD, GOOD, LABEL])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record, most of its values usual ones; perhaps a key twice, a key less, broken bytes."""
    texts = {key: json.dumps(value) for key, value in draw(good).items()}
    pairs = [*(texts | draw(st.dictionaries(keys, json_texts, max_size=3))).items()]
    pairs += draw(st.lists(st.tuples(keys, json_texts), max_size=1))
    dropped = draw(st.sets(st.integers(0, 12), max_size=1))
    members = [f"{json.dumps(key)}: {text}" for n, (key, text) in enumerate(pairs) if n not in dropped]
    data = bytearray(
        ("{" + ", ".join(members) + draw(st.sampled_from(["}", "}", "} ", "\n}", "}{}", ""]))).encode()
    )
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=1)):
        if place < len(data):
            data[place] = byte
    return bytes(data)


def one_by_one(spec, datas: Sequence[bytes]) -> list[object]:
    careful = CarefulDecoder(spec)
    found: list[object] = []
    for data in datas:
        try:
            found.append(careful.decode(data, NOW))
        except RecordRefusedError as refused:
            found.append((refused.reason, str(refused)))
    return found


def told(found: object) -> str:
    """Equal for what is equal to the bit: repr tells -0.0 from 0.0, and True from 1."""
    return repr((found.reason, str(found)) if isinstance(found, RecordRefusedError) else found)


@pytest.mark.parametrize("good", [GOOD, LABEL], ids=["event", "label"])
@pytest.mark.parametrize("key", KEYS)
def test_every_odd_value_is_what_it_is_alone(key, good):
    texts = {name: json.dumps(value) for name, value in good.items()}
    odd = [texts | {key: value} for value in ODD]
    datas = [("{" + ", ".join(f'"{k}":{v}' for k, v in one.items()) + "}").encode() for one in odd]
    found = decoder(SPEC).decode_all(datas, [NOW] * len(datas))
    assert list(map(told, found)) == list(map(told, one_by_one(SPEC, datas)))


@given(datas=st.lists(records(), max_size=5), spec=st.sampled_from([SPEC, SPEC, UNLABELLED]))
@example(datas=[b'{"id": "e1"}, {', b'"at": 5}'], spec=SPEC)
@example(
    datas=[json.dumps({**GOOD, "at": 1, "redrive": put_back}).encode() for put_back in (1, True)], spec=SPEC
)
def test_a_batch_gives_what_its_records_give_one_by_one(datas, spec):
    expected = one_by_one(spec, datas)
    quick = QuickDecoder(spec).decode(datas, [NOW] * len(datas))
    assert [told(record) for record in quick if record is not None] == [
        told(record) for record, found in zip(expected, quick, strict=True) if found is not None
    ]
    whole = decoder(spec).decode_all(datas * 16, [NOW] * len(datas) * 16)
    assert list(map(told, whole)) == list(map(told, expected)) * 16


NOT_UTF8 = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")


def hostile() -> list[bytes]:
    """Records that try to reach into their neighbours, whatever joins them."""
    whole, halves = json.dumps(GOOD), json.dumps({**GOOD, "unknown": "@@"}).split("@@")
    joints = (",", "\n", "},{", "\n\n", "[", "]", "\x00", "\xff", "\ud7ff", "")
    ends = [*halves, *(half + joint for half in halves for joint in joints), "[" + whole, whole + "]"]
    amounts = ("1,2", "1\n2", "1.", ".5", "[1,2]", '"1,2"', "1 ", "- 1", "1_0", "0x1", "١", "1,", ",")
    return [
        *(text.encode() for text in ends),
        *(whole.replace("12.5", amount).encode() for amount in amounts),
        *(whole.replace("}", ', "unknown": "@@"}').encode().replace(b"@@", odd) for odd in NOT_UTF8),
        whole.encode() + b"\xc3",
        b"\xa9" + whole.encode(),
        whole.replace("web", "we\udcffb").encode(errors="surrogateescape"),
        b"",
        b" ",
        b"[]",
        b"{}",
        b"5",
    ]


@pytest.mark.parametrize("bad", hostile())
def test_no_record_reaches_into_its_neighbours(bad):
    whole = json.dumps(GOOD).encode()
    for datas in ([bad, whole] * 10, [whole, bad] * 10, [bad] * 20, [whole] * 19 + [bad]):
        found = decoder(SPEC).decode_all(datas, [NOW] * 20)
        assert list(map(told, found)) == list(map(told, one_by_one(SPEC, datas)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"at": "2023-11-14T22:13:20Z"},
        {
            "at": "2023-11-14T22:13:20.123Z",
            "deep": {"n": 3, "er": {"where": "here"}},
            "ok": True,
            "trace": "00-ab",
        },
        {"at": "2023-11-14T23:13:20.123456+01:00", "type": "TRANSFER", "unknown": {"x": ["é"]}},
        {"lat": -0.0, "deep": None, "ok": None, "kind": None, "big": -5, "fine": 0.25},
        LABEL,
        {**LABEL, "fraud": 0, "label_time": "2023-11-14T22:13:20"},
    ],
)
def test_the_usual_records_leave_no_doubt(changes):
    usual = json.dumps({**GOOD, **changes}).encode()
    assert None not in QuickDecoder(SPEC).decode([usual, json.dumps(GOOD).encode()], [NOW, NOW])


def test_times_are_read_as_they_are_one_by_one_or_not_at_all():
    texts = [c + f + z for c in ODD_CLOCKS for f in FRACTIONS for z in ZONES]
    found, certain = written_ms(texts)
    assert certain.any()
    for text, found_ms, sure in zip(texts, found.tolist(), certain.tolist(), strict=True):
        assert not sure or found_ms == values.rfc3339_ms(text, "at")


@given(st.lists(st.floats(-(2**53), 2**53) | st.integers(-(2**53), 2**53), min_size=1, max_size=30))
@example([0.0, -0.0, 1.5])
def test_floats_are_rounded_as_python_rounds_them(numbers):
    texts = [
        *map(repr, numbers),
        *(f"{number:.20e}" for number in numbers),
        *(f"{number:.3f}" for number in numbers),
    ]
    for some in (texts, [text for text in texts if "-" not in text], ["-0", "1", "2"]):
        datas = [
            json.dumps({**GOOD, "lon": 0}).replace('"lon": 0', f'"lon": {text}').encode() for text in some
        ]
        found = QuickDecoder(SPEC).decode(datas, [NOW] * len(datas))
        assert [repr(event.values[3]) for event in found] == [repr(float(text)) for text in some]


@given(days, st.sampled_from(["Z", "", "+00:00", "-07:30"]))
def test_every_day_is_known(moment, zone):
    text = moment.isoformat() + zone
    (found,), (certain,) = written_ms([text])
    assert certain
    assert found == values.rfc3339_ms(text, "at")
