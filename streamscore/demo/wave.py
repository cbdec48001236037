"""What befalls the simulated payments in the demo's act about drift, stretch by stretch. Pure."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import polars as pl

AMOUNT, LABEL = "amount", "is_fraud"
"""Columns of the simulator."""
CHEAPER = Decimal("0.5")
TRIED, GIVEN_AWAY = 0.08, 0.7
"""Shares of payments that are frauds in the wave, and honest small payments in the campaign."""
SMALL_CENTS = (20, 100)

Stretch = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]
"""Payments as they were simulated, to payments as they come."""


def calm(payments: pl.DataFrame, _random: np.random.Generator) -> pl.DataFrame:
    """Nothing befalls them."""
    return payments


def wave(payments: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Everything costs half, and stolen cards are tried out with small payments: frauds that a model of large
    amounts knows nothing of.
    """
    kind = payments.schema[AMOUNT]
    cheaper = payments.with_columns((pl.col(AMOUNT) * pl.lit(CHEAPER).cast(kind)).cast(kind).alias(AMOUNT))
    return _small(cheaper, random, TRIED, fraud=True)


def campaign(payments: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """The wave goes on, and most payments become small and honest: a model that has learned the wave takes
    them for frauds.
    """
    return _small(wave(payments, random), random, GIVEN_AWAY, fraud=False)


def _small(payments: pl.DataFrame, random: np.random.Generator, share: float, *, fraud: bool) -> pl.DataFrame:
    """So many of the payments become small ones, and frauds or not."""
    chosen = pl.Series(random.random(payments.height) < share)
    cents = pl.Series(random.integers(*SMALL_CENTS, payments.height))
    amount = (cents.cast(payments.schema[AMOUNT]) / 100).cast(payments.schema[AMOUNT])
    return payments.with_columns(
        pl.when(chosen).then(amount).otherwise(pl.col(AMOUNT)).cast(payments.schema[AMOUNT]).alias(AMOUNT),
        pl.when(chosen).then(pl.lit(fraud)).otherwise(pl.col(LABEL)).alias(LABEL),
    )
