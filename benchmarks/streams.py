"""Seeded streams that every bench of the feature engine reads, as columns, as JSON records, as a batch.

`cards`: Zipf-Mandelbrot cards and terminals (s = 1, q = 20), each card with five terminals of its own, unique
millisecond times over 60 days a million events. `hot`: the same with q = 2, the top card about 5 % of all.
`handbook_like`: the card-fraud simulator that ships.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import Columns, text_hash
from stream_features.spec import Spec, parse
from streamscore.simulator import Scale, simulate

type Ints = NDArray[np.int64]

START_MS = 1_704_067_200_000  # 2024-01-01
DAY_MS = 86_400_000
MILLION = 1_000_000
FOURTEEN = Path(__file__).with_name("fourteen.toml")


@dataclass(frozen=True)
class Stream:
    """Events by time: numbers of cards and terminals, epoch milliseconds, amounts in cents."""

    card: Ints
    terminal: Ints
    time_ms: Ints
    cents: Ints

    def __len__(self) -> int:
        return len(self.time_ms)

    def __getitem__(self, part: slice) -> "Stream":
        return Stream(self.card[part], self.terminal[part], self.time_ms[part], self.cents[part])

    def save(self, path: Path) -> None:
        """An .npz of the four columns, for peers in other processes."""
        np.savez(path, card=self.card, terminal=self.terminal, time_ms=self.time_ms, cents=self.cents)


def fourteen(exact_events: int | None = None) -> Spec:
    """since_last; count, sum, mean, max over 1 h, 24 h, 7 d; distinct terminals in 7 d; by card."""
    text = FOURTEEN.read_text()
    if exact_events is not None:
        text = text.replace("[event]", f"[event]\nexact_events = {exact_events}", 1)
    return parse(text)


def cards(size: int = MILLION) -> Stream:
    """The first `size` events of the facts' stream; its rate is the same at any size."""
    return _zipf(max(size, MILLION), flat=20.0, seed=7)[:size]


def hot(size: int = MILLION) -> Stream:
    """A stream whose top card makes about 5 % of all events."""
    return _zipf(max(size, MILLION), flat=2.0, seed=7)[:size]


def handbook_like(days: int = 61) -> Stream:
    """The shipped simulator at the book's scale: 5,000 customers, 10,000 terminals."""
    made = simulate(Scale(days=days, start=date(2024, 1, 1)), 7)
    return Stream(made.customer, made.terminal, made.time_ms, made.amount_cents)


def spread(size: int, entities: int, seed: int = 7) -> Stream:
    """`size` events evenly over `entities` cards at the rate of `cards`: for growth, not for skew."""
    rng = np.random.default_rng(seed)
    return Stream(
        rng.integers(0, entities, size), rng.integers(0, 5_000, size), _times(size, rng), _cents(size, rng)
    )


def columns(stream: Stream) -> Columns:
    """The stream as a batch of the kernel."""
    names = np.array([text_hash(terminal_id(number)) for number in range(int(stream.terminal.max()) + 1)])
    return Columns(
        time_ms=stream.time_ms,
        is_event=np.ones(len(stream), np.bool_),
        fields={"amount": stream.cents, "terminal_id": names[stream.terminal]},
        label=np.zeros(len(stream), np.bool_),
    )


def json_records(stream: Stream) -> list[bytes]:
    """One JSON record an event, about 250 bytes, with fields that no feature reads."""
    named = (stream.card, stream.terminal, stream.time_ms, stream.cents)
    rows = zip(*(column.tolist() for column in named), strict=True)
    return [_json(number, *row) for number, row in enumerate(rows)]


def card_id(number: int) -> str:
    return f"card-{number:07d}"


def terminal_id(number: int) -> str:
    return f"term-{number:06d}"


def _json(number: int, card: int, terminal: int, time_ms: int, cents: int) -> bytes:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"transaction_id":"tx-{number:09d}","event_time":"{moment.replace("+00:00", "Z")}",'
        f'"card_id":"{card_id(card)}","customer_id":"cust-{card:07d}","terminal_id":"{terminal_id(terminal)}",'
        f'"amount":{cents // 100}.{cents % 100:02d},"currency":"EUR","lat":{48 + card * 1e-5:.5f},'
        f'"lon":{11 + terminal * 1e-5:.5f},"category":"grocery_pos"}}'
    ).encode()


def _zipf(size: int, *, flat: float, seed: int) -> Stream:
    rng = np.random.default_rng(seed)
    card = _mandelbrot(20_000, flat, size, rng)
    favourites = _mandelbrot(5_000, flat, 20_000 * 5, rng).reshape(-1, 5)
    own = favourites[card, rng.integers(0, 5, size)]
    terminal = np.where(rng.random(size) < 0.7, own, _mandelbrot(5_000, flat, size, rng))
    return Stream(card, terminal, _times(size, rng), _cents(size, rng))


def _mandelbrot(count: int, flat: float, size: int, rng: np.random.Generator) -> Ints:
    """`size` draws of 0 … count - 1, rank r with a chance in proportion to 1 / (r + flat)."""
    chances = 1.0 / (np.arange(count) + flat)
    return rng.choice(count, size, p=chances / chances.sum())


def _times(size: int, rng: np.random.Generator) -> Ints:
    span = 60 * DAY_MS * size // MILLION
    return START_MS + np.sort(rng.choice(np.unique(rng.integers(0, span, 2 * size)), size, replace=False))


def _cents(size: int, rng: np.random.Generator) -> Ints:
    return np.maximum(1, np.round(np.exp(rng.normal(3.3, 1.1, size)) * 100)).astype(np.int64)
