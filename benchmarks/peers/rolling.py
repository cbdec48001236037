"""The fourteen features over whole history by a data-frame engine on one thread: peers for `offline.py`.

python rolling.py STREAM.npz FEATURES.npy polars|duckdb|pandas

Timed: from columns in the engine's own table to columns in the stream's order. Events of one card and one
millisecond would see each other in polars and DuckDB; the stream has none.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

HOURS = {"1h": 1, "24h": 24, "7d": 168}
type Columns = Mapping[str, NDArray[np.generic]]


def with_polars(stream: Columns) -> tuple[str, Callable[[], Columns]]:
    import polars as pl  # noqa: PLC0415 - one engine a process

    frame = pl.DataFrame(stream).with_columns(pl.col("time_ms").cast(pl.Datetime("ms"))).with_row_index("row")

    def work() -> Columns:
        ordered = frame.sort("card", "time_ms")
        since = pl.col("time_ms").diff().over("card").dt.total_milliseconds() / 1000
        parts = [ordered.select("row", since.alias("since_last"))]
        for window in HOURS:
            asked = [pl.len().alias(f"count_{window}"), pl.col("cents").sum().alias(f"sum_{window}")]
            asked += [pl.col("cents").max().alias(f"max_{window}")]
            if window == "7d":
                asked.append(pl.col("terminal").n_unique().alias("terminals_7d"))
            rolled = ordered.rolling("time_ms", period=window, group_by="card").agg(asked)
            rolled = rolled.drop("card", "time_ms")
            mean = pl.col(f"sum_{window}") / (pl.col(f"count_{window}") * 100)
            parts.append(rolled.with_columns(mean.alias(f"mean_{window}")))
        found = pl.concat(parts, how="horizontal").sort("row")
        return {name: found[name].to_numpy() for name in found.columns}

    return pl.__version__, work


def with_duckdb(stream: Columns) -> tuple[str, Callable[[], Columns]]:
    import duckdb  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    database = duckdb.connect()
    database.execute("set threads = 1")
    database.register("given", pd.DataFrame(stream).assign(row=np.arange(len(stream["card"]))))
    database.execute("create table events as select * from given")
    asked, windows = ["row", "(time_ms - lag(time_ms) over one) / 1000 since_last"], []
    for name, hours in HOURS.items():
        over = f"over w{name}"
        asked += [f"count(*) {over} count_{name}", f"sum(cents) {over} sum_{name}"]
        asked += [f"max(cents) {over} max_{name}", f"sum_{name} / (count_{name} * 100) mean_{name}"]
        windows.append(f"w{name} as (one range between {hours * 3_600_000 - 1} preceding and current row)")
    asked.append("count(distinct terminal) over w7d terminals_7d")
    one = "one as (partition by card order by time_ms)"
    query = f"create table found as select {', '.join(asked)} from events window {one}, {', '.join(windows)}"

    def work() -> Columns:
        database.execute(query)
        return database.execute("select * from found order by row").fetchnumpy()

    return duckdb.__version__, work


def with_pandas(stream: Columns) -> tuple[str, Callable[[], Columns]]:
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(stream)
    frame["at"] = pd.to_datetime(frame["time_ms"], unit="ms")

    def work() -> Columns:
        ordered = frame.sort_values(["card", "time_ms"])
        found = {"since_last": (ordered.groupby("card")["time_ms"].diff() / 1000).to_numpy()}
        for window in HOURS:
            rolled = ordered.groupby("card").rolling(window, on="at")
            cents = rolled["cents"]
            count, total = cents.count().to_numpy(), cents.sum().to_numpy()
            found |= {f"count_{window}": count, f"sum_{window}": total}
            found |= {f"mean_{window}": total / (count * 100), f"max_{window}": cents.max().to_numpy()}
            if window == "7d":
                found["terminals_7d"] = rolled["terminal"].nunique().to_numpy()
        back = np.argsort(ordered.index.to_numpy())
        return {name: values[back] for name, values in found.items()}

    return pd.__version__, work


def vectors(found: Columns) -> NDArray[np.float32]:
    """float32 columns in the order of fourteen.toml; cents become units."""
    columns = [np.ma.filled(found["since_last"], np.nan)]  # DuckDB masks what is NULL
    for kind, scale in (("count", 1), ("sum", 100), ("mean", 1), ("max", 100)):
        columns += [np.asarray(found[f"{kind}_{window}"], np.float64) / scale for window in HOURS]
    return np.stack([*columns, found["terminals_7d"]], axis=1).astype(np.float32)


def main(path: str, features: str, engine: str) -> None:
    stream = dict(np.load(path))
    ways = {"polars": with_polars, "duckdb": with_duckdb, "pandas": with_pandas}
    version, work = ways[engine](stream)
    started = time.process_time()
    found = work()
    print(json.dumps({"version": version, "all_s": time.process_time() - started}))
    np.save(features, vectors(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
