import hashlib
from datetime import date

import numpy as np
import pytest

from streamscore import simulator
from streamscore.simulator import DAY_MS, Scale, simulate, to_frame

SMALL = Scale(customers=500, terminals=1_000, days=28)


def digest(scale: Scale, seed: int) -> str:
    return hashlib.sha256(to_frame(simulate(scale, seed)).write_csv().encode()).hexdigest()


@pytest.fixture(scope="module")
def book_quarter() -> simulator.Transactions:
    return simulate(Scale(customers=2_500, terminals=5_000, days=90), seed=3)


def test_the_same_seed_gives_the_same_transactions_and_another_seed_others() -> None:
    assert digest(SMALL, 1) == digest(SMALL, 1)
    assert digest(SMALL, 1) != digest(SMALL, 2)


def test_transactions_are_sorted_by_time_and_lie_inside_the_days_asked_for() -> None:
    times = simulate(Scale(customers=50, terminals=90, days=3, start=date(2026, 1, 30)), seed=0).time_ms

    assert (np.diff(times) >= 0).all()
    assert times[0] >= 1_769_731_200_000
    assert times[-1] < 1_769_731_200_000 + 3 * DAY_MS


def test_a_customer_makes_two_transactions_a_day_on_average_and_some_make_almost_none(
    book_quarter: simulator.Transactions,
) -> None:
    a_day = np.bincount(book_quarter.customer, minlength=2_500) / 90

    # Uniform 0–4, less the 3.1 % of times that a normal around noon puts outside the day.
    assert a_day.mean() == pytest.approx(2 * 0.969, abs=0.07)
    assert np.quantile(a_day, 0.05) < 0.3
    assert np.quantile(a_day, 0.95) > 3.5


def test_times_of_day_are_normal_around_noon(book_quarter: simulator.Transactions) -> None:
    second = book_quarter.time_ms % DAY_MS / 1000

    assert second.mean() == pytest.approx(43_200, abs=200)
    assert second.std() == pytest.approx(18_300, abs=300)  # sd 20,000 cut off at ±43,200


def test_genuine_amounts_spread_around_a_mean_of_each_customers_own(
    book_quarter: simulator.Transactions,
) -> None:
    genuine = book_quarter.scenario == 0
    counts = np.bincount(book_quarter.customer[genuine])
    totals = np.bincount(book_quarter.customer[genuine], book_quarter.amount_cents[genuine], 2_500)
    means = totals[counts > 100] / counts[counts > 100] / 100

    assert (book_quarter.amount_cents >= 0).all()
    assert means.mean() == pytest.approx(53.7, abs=2)  # 52.5, and a little for redrawn negatives
    assert means.std() == pytest.approx(95 / 12**0.5, abs=2)


def test_a_customer_only_uses_terminals_within_reach(book_quarter: simulator.Transactions) -> None:
    pairs = np.unique(np.stack([book_quarter.customer, book_quarter.terminal], 1), axis=0)
    terminals_used = np.bincount(pairs[:, 0])

    assert np.quantile(terminals_used, 0.99) < 120  # about 78 lie in a circle of radius 5
    assert np.median(terminals_used) > 50


def test_the_share_of_fraud_is_the_books_at_full_and_at_small_scale() -> None:
    for scale in (Scale(), Scale(customers=1_000, terminals=2_000, days=183)):
        scenario = simulate(scale, seed=0).scenario
        assert (scenario > 0).mean() == pytest.approx(0.0084, abs=0.0012)


def test_every_large_amount_is_fraud(book_quarter: simulator.Transactions) -> None:
    assert (book_quarter.scenario[book_quarter.amount_cents > 22_000] > 0).all()


def test_a_compromised_terminal_is_wholly_fraudulent_for_up_to_28_days(
    book_quarter: simulator.Transactions,
) -> None:
    day = (book_quarter.time_ms - book_quarter.time_ms[0] // DAY_MS * DAY_MS) // DAY_MS
    hit = book_quarter.scenario == 2
    for terminal in np.unique(book_quarter.terminal[hit])[:40]:
        here = book_quarter.terminal == terminal
        first = day[here & hit].min()
        # Transactions of scenario 3 stand above scenario 2, and are fraud as well.
        same_days = here & (day >= first) & (day < day[here & hit].max())
        gaps = np.diff(np.unique(day[same_days & hit]))
        if len(gaps) and gaps.max() < 28:
            assert (book_quarter.scenario[same_days] > 0).mean() > 0.5


def test_a_third_of_a_compromised_customers_transactions_are_five_times_as_large(
    book_quarter: simulator.Transactions,
) -> None:
    stolen, genuine = book_quarter.scenario == 3, book_quarter.scenario == 0
    counts = np.bincount(book_quarter.customer[genuine])
    means = np.bincount(book_quarter.customer[genuine], book_quarter.amount_cents[genuine]) / np.maximum(
        counts, 1
    )
    times = book_quarter.amount_cents[stolen] / means[book_quarter.customer[stolen]]

    assert times.mean() == pytest.approx(5, abs=0.1)
    assert stolen.mean() == pytest.approx(3 * 14 / 5_000 / 3, abs=0.0008)


def test_one_customer_and_one_terminal_are_enough() -> None:
    assert set(simulate(Scale(1, 1, 30), seed=4).terminal.tolist()) <= {0}
