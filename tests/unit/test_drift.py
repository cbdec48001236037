"""Drift measures against hand-computed values and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from monitor import drift

histograms = st.lists(st.integers(0, 1000), min_size=5, max_size=5)
pairs = st.tuples(histograms, histograms).filter(lambda pair: all(sum(side[:-1]) > 0 for side in pair))


def test_psi_of_large_counts_is_the_textbooks() -> None:
    # shares .5/.3/.2 against .4/.4/.2: (-.1)ln(.8) + (.1)ln(4/3) + 0 = 0.02231 + 0.02877
    assert drift.psi([500_000, 300_000, 200_000], [400_000, 400_000, 200_000]) == pytest.approx(
        0.051083, abs=1e-5
    )


def test_psi_with_an_empty_cell_counts_half_an_observation() -> None:
    e, a = [100.5 / 101, 0.5 / 101], [90.5 / 101, 10.5 / 101]
    by_hand = (a[0] - e[0]) * math.log(a[0] / e[0]) + (a[1] - e[1]) * math.log(a[1] / e[1])
    assert drift.psi([100, 0], [90, 10]) == pytest.approx(by_hand)
    assert 0 < by_hand < math.inf


@given(pairs)
def test_equal_histograms_have_no_distance_and_all_are_symmetric(pair: tuple[list[int], list[int]]) -> None:
    one, other = pair
    for measure in (drift.psi, drift.jensen_shannon, drift.kolmogorov_smirnov):
        assert measure(one, one) == pytest.approx(0, abs=1e-9)
        assert measure(one, other) == pytest.approx(measure(other, one), abs=1e-9)
        assert measure(one, other) >= 0


@given(pairs)
def test_jensen_shannon_is_scipys(pair: tuple[list[int], list[int]]) -> None:
    assert drift.jensen_shannon(*pair) == pytest.approx(distance.jensenshannon(*pair, base=2), abs=1e-7)


@given(pairs)
def test_kolmogorov_smirnov_is_scipys_on_the_cells(pair: tuple[list[int], list[int]]) -> None:
    one, other = (np.repeat(np.arange(4), side[:-1]) for side in pair)
    exact = stats.ks_2samp(one, other, method="asymp").statistic
    assert drift.kolmogorov_smirnov(*pair) == pytest.approx(exact, abs=1e-9)


def test_psi_noise_is_the_quantile_of_what_sampling_gives() -> None:
    cells, expected, actual = 12, 50_000, 800
    bound = drift.psi_noise(cells, expected, actual, sigmas=3.0)
    by_scipy = stats.chi2.ppf(stats.norm.cdf(3.0), cells - 1) * (1 / expected + 1 / actual)
    assert bound == pytest.approx(by_scipy, rel=0.01)
    random = np.random.default_rng(7)
    shares = np.full(cells, 1 / cells)
    sampled = [
        drift.psi(random.multinomial(expected, shares), random.multinomial(actual, shares))
        for _ in range(2000)
    ]
    assert np.mean(np.array(sampled) > bound) < 0.005


def test_nothing_to_compare_is_nan_and_its_noise_infinite() -> None:
    assert math.isnan(drift.psi([0, 0], [1, 2]))
    assert math.isnan(drift.jensen_shannon([1, 2], [0, 0]))
    assert math.isnan(drift.kolmogorov_smirnov([1, 2, 3], [0, 0, 9]))
    assert drift.psi_noise(10, 0, 100) == math.inf


def test_shares_missing_and_out_of_range() -> None:
    counts = [1, 4, 4, 1, 10]
    assert drift.share_missing(counts) == 0.5
    assert drift.share_out_of_range(counts) == 0.2
    assert math.isnan(drift.share_out_of_range([0, 0, 0, 0, 3]))


def test_share_noise_is_wider_than_the_exact_binomial_tail_and_not_by_much() -> None:
    for share, n in ((0.01, 20_000), (0.3, 2_000), (0.002, 100_000)):
        bound = drift.share_noise(share, 10**9, share, n)
        exact = stats.binom.isf(1e-9, n, share) / n - share
        assert exact < bound < 1.6 * exact


def test_kolmogorov_smirnov_noise_bounds_scipys_exact_tail() -> None:
    bound = drift.kolmogorov_smirnov_noise(10**9, 500)
    assert stats.kstwo.sf(bound, 500) <= 1.1e-9
    assert stats.kstwo.sf(0.9 * bound, 500) > 1e-9


def test_kolmogorov_smirnov_on_cells_is_scipys_on_their_values() -> None:
    random = np.random.default_rng(5)
    one, other = random.integers(0, 8, 300), random.integers(2, 9, 200)
    cells = [[0, *np.bincount(side, minlength=9), 0, 0] for side in (one, other)]
    assert drift.kolmogorov_smirnov(*cells) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_the_noise_of_means_and_deviations_is_six_of_their_standard_errors() -> None:
    random = np.random.default_rng(6)
    for draw, kurtosis in ((random.normal, 3.0), (random.laplace, 6.0), (random.uniform, 1.8)):
        samples = draw(size=(2_000, 400))
        std = samples.std()
        assert drift.mean_noise(std, 10**9, 400) / 6 == pytest.approx(samples.mean(axis=1).std(), rel=0.06)
        noise = drift.std_noise(1.0, math.sqrt(kurtosis - 1), 10**9, 400) ** 2 - 1
        assert noise / 6 == pytest.approx((samples.var(axis=1) / std**2).std(), rel=0.08)


def test_without_counts_everything_is_noise() -> None:
    assert drift.share_noise(math.nan, 0, 0.5, 10) == drift.mean_noise(1.0, 10, 0) == math.inf
    assert drift.kolmogorov_smirnov_noise(0, 5) == drift.std_noise(1.0, 1.4, 0, 10) == math.inf


def test_the_share_at_or_above_a_limit_is_exact_at_an_edge() -> None:
    edges = (0.0, 0.5, 0.9, 1.0)
    assert drift.share_at_or_above([0, 6, 3, 1, 0, 5], edges, 0.5) == pytest.approx(0.4)
    assert drift.share_at_or_above([0, 6, 3, 1, 0, 5], edges, 0.9) == pytest.approx(0.1)
    assert math.isnan(drift.share_at_or_above([0, 0, 0, 0, 0, 5], edges, 0.9))
