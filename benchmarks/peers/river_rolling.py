"""River `Agg` over `TimeRolling`: sum and mean in three windows, what it can do of the fourteen features.

python river_rolling.py STREAM.npz WARM FEATURES.npy

`TimeRolling` needs a statistic that can be reverted: count, max and distinct are not to be had.
"""

import sys
import warnings
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import numpy as np
from river import feature_extraction, stats, utils
from stopwatch import Stopwatch

HOURS = (1, 24, 168)


def main(path: str, warm: str, features: str) -> None:
    warnings.simplefilter("ignore")
    stream = np.load(path)
    moments = [datetime.fromtimestamp(t / 1000, UTC).replace(tzinfo=None) for t in stream["time_ms"].tolist()]
    pairs = zip(stream["card"].tolist(), stream["cents"].tolist(), strict=True)
    events = [({"card": card, "amount": cents}, at) for (card, cents), at in zip(pairs, moments, strict=True)]
    aggregates = [
        feature_extraction.Agg(on="amount", by="card", how=utils.TimeRolling(how(), timedelta(hours=hours)))
        for how in (stats.Sum, stats.Mean)
        for hours in HOURS
    ]
    watch, rows = Stopwatch(int(warm)), []
    for event, moment in watch.over(events):
        found = []
        for aggregate in aggregates:
            aggregate.learn_one(event, moment)
            found.extend(aggregate.transform_one(event).values())
        rows.append(found)
    watch.report(version("river"))
    np.save(features, (np.array(rows, np.float64) / 100).astype(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
