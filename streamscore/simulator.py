"""Simulated card transactions with three kinds of fraud, decided by a seed.

After the simulator of "Reproducible Machine Learning for Credit Card Fraud Detection — Practical Handbook"
(chapter 3, Transaction data simulator), written anew from its published numbers. Defaults are the book's
scale: about 1.75 million transactions, 0.84 % fraud.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

DAY_MS = 86_400_000
BOOK_CUSTOMERS, BOOK_TERMINALS = 5_000, 10_000
BOOK_START = date(2018, 4, 1)

SIDE = 100.0
REACH = 5.0
NOON_S, TIME_OF_DAY_SD_S = 43_200, 20_000
LARGE_AMOUNT_CENTS = 22_000
TERMINALS_HIT_A_DAY, TERMINAL_HIT_DAYS = 2, 28
CUSTOMERS_HIT_A_DAY, CUSTOMER_HIT_DAYS = 3, 14

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """How much to simulate.

    Smaller populations live on a smaller square and are hit by fraud less often, so that a customer's choice
    of terminals and the share of fraud stay the book's.
    """

    customers: int = BOOK_CUSTOMERS
    terminals: int = BOOK_TERMINALS
    days: int = 183
    start: date = BOOK_START


@dataclass(frozen=True)
class Transactions:
    """Columns of equal length, sorted by time.

    ``scenario``: 0 genuine, 1 large amount, 2 compromised terminal, 3 compromised customer.
    """

    time_ms: Ints
    customer: Ints
    terminal: Ints
    amount_cents: Ints
    scenario: Ints


def simulate(scale: Scale, seed: int) -> Transactions:
    """All transactions of ``scale``, decided by ``seed`` alone."""
    rng = np.random.default_rng(seed)
    first, terminals_in_reach = _terminals_in_reach(scale, rng)
    mean_amount = rng.uniform(5, 100, scale.customers)
    rate_a_day = np.where(np.diff(first) > 0, rng.uniform(0, 4, scale.customers), 0)
    customer, day, second = _moments(rate_a_day, scale.days, rng)
    choice = (rng.random(len(customer)) * np.diff(first)[customer]).astype(np.int64)
    terminal = terminals_in_reach[first[customer] + choice]
    cents = _amounts_cents(mean_amount[customer], rng)
    scenario = _fraud_scenarios(scale, customer, terminal, day, rng)
    scenario[(cents > LARGE_AMOUNT_CENTS) & (scenario == 0)] = 1
    cents[scenario == 3] *= 5
    time_ms = midnight_ms(scale.start) + day * DAY_MS + (second * 1000).astype(np.int64)
    order = np.argsort(time_ms, kind="stable")
    return Transactions(time_ms[order], customer[order], terminal[order], cents[order], scenario[order])


def to_frame(transactions: Transactions) -> pl.DataFrame:
    """The columns of an EVENTS file; ids and times are text, the amount is a decimal with two digits."""
    frame = pl.DataFrame(
        {
            "event_time": transactions.time_ms,
            "customer_id": transactions.customer,
            "terminal_id": transactions.terminal,
            "amount": transactions.amount_cents,
            "is_fraud": (transactions.scenario > 0).astype(np.int8),
            "fraud_scenario": transactions.scenario.astype(np.int8),
        }
    )
    time = pl.from_epoch("event_time", time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return frame.with_row_index("transaction_id").with_columns(
        pl.format("tx{}", pl.col("transaction_id")).alias("transaction_id"),
        time.alias("event_time"),
        pl.format("C{}", pl.col("customer_id")).alias("customer_id"),
        pl.format("T{}", pl.col("terminal_id")).alias("terminal_id"),
        (pl.col("amount").cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)),
    )


def midnight_ms(day: date) -> int:
    """Epoch milliseconds at which that day begins, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _terminals_in_reach(scale: Scale, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """``(first, terminals)``: customer i's terminals are ``terminals[first[i]:first[i + 1]]``."""
    side = SIDE * (scale.terminals / BOOK_TERMINALS) ** 0.5
    customers = rng.uniform(0, side, (scale.customers, 2))
    terminals = rng.uniform(0, side, (scale.terminals, 2))
    near: list[Ints] = []
    for x, y in customers:
        near.append(np.flatnonzero((terminals[:, 0] - x) ** 2 + (terminals[:, 1] - y) ** 2 < REACH**2))
    counts = np.fromiter((len(some) for some in near), np.int64, scale.customers)
    return np.concatenate(([0], np.cumsum(counts))), np.concatenate(near)


def _moments(rate_a_day: Floats, days: int, rng: np.random.Generator) -> tuple[Ints, Ints, Floats]:
    """Customer, day and second of day: Poisson a day, around noon, what falls outside its day is dropped."""
    counts = rng.poisson(rate_a_day[:, None], (len(rate_a_day), days))
    customer, day = (index.repeat(counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    second = rng.normal(NOON_S, TIME_OF_DAY_SD_S, len(customer))
    inside = (second > 0) & (second < 86_400)
    return customer[inside], day[inside], second[inside]


def _amounts_cents(mean: Floats, rng: np.random.Generator) -> Ints:
    """Normal with half the mean as standard deviation; a negative one is drawn again from (0, 2 × mean)."""
    amount = rng.normal(mean, mean / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount)
    return np.rint(amount * 100).astype(np.int64)


def _fraud_scenarios(
    scale: Scale, customer: Ints, terminal: Ints, day: Ints, rng: np.random.Generator
) -> Ints:
    """0, 2 or 3 for each transaction: at a compromised terminal, or with a compromised customer's card."""
    terminal_hit = _hit(
        (scale.terminals, scale.days), TERMINALS_HIT_A_DAY / BOOK_TERMINALS, TERMINAL_HIT_DAYS, rng
    )
    customer_hit = _hit(
        (scale.customers, scale.days), CUSTOMERS_HIT_A_DAY / BOOK_CUSTOMERS, CUSTOMER_HIT_DAYS, rng
    )
    scenario = np.where(terminal_hit[terminal, day], 2, 0)
    scenario[customer_hit[customer, day] & (rng.random(len(customer)) < 1 / 3)] = 3
    return scenario


def _hit(
    shape: tuple[int, int], share_a_day: float, lasting_days: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """``[who, day]``: each day a random ``share_a_day`` of all is hit and stays so for ``lasting_days``."""
    population, days = shape
    hit = np.zeros(shape, bool)
    for day in range(days):
        number = int(population * share_a_day + rng.random())
        hit[rng.choice(population, min(number, population), replace=False), day : day + lasting_days] = True
    return hit
