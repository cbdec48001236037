"""What a bundle's model weighs and costs, beside scikit-learn's own: bytes, load time, a row and a batch.

    python benchmarks/models.py [--days 25] [--customers 1000] [--repeat 200]

The features that ship over the simulator's transactions; each estimator is trained by `train`, so each graph
is proven. Times are CPU time of this process on one thread; compare those of one run only.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from scoring import bundle as bundles
from scoring.model import Model
from stream_features.spec import parse
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training import backfill as backfills
from streamscore.training.classifier import parts
from streamscore.training.estimators import forest
from streamscore.training.labelled import Table, read_table
from streamscore.training.train import Recipe, Trained, fit

SPEC = Path(__file__).parents[1] / "src" / "features.toml"
ESTIMATORS: dict[str, Any] = {
    "random forest, 100 trees": forest(),
    "histogram boosting": HistGradientBoostingClassifier(random_state=0),
    "gradient boosting": GradientBoostingClassifier(random_state=0),
    "logistic regression": LogisticRegression(max_iter=1000),
    "network, 100 hidden": MLPClassifier(random_state=0),
}
BATCH = 500


def main() -> None:
    """Print the table."""
    options = arguments()
    spec = parse(SPEC.read_text(), str(SPEC))
    table = labelled(options.customers, options.days)
    print("| model | bytes | load ms | a row µs | 500 rows ms | sklearn: a row | 500 rows | difference |")
    print("|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name, estimator in ESTIMATORS.items():
            made = fit(table, spec, Recipe(estimator=estimator))
            print(line(name, made, table, options.repeat), flush=True)
    made = fit(table, spec, Recipe(estimator=ESTIMATORS["random forest, 100 trees"]))
    print(f"\nThe forest as skl2onnx writes it: {by_skl2onnx(made, table, options.repeat)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=25)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=200)
    return parser.parse_args()


def labelled(customers: int, days: int) -> Table:
    """The rows of a simulated history."""
    spec = parse(SPEC.read_text(), str(SPEC))
    with tempfile.TemporaryDirectory() as folder:
        events, features = Path(folder, "events.parquet"), Path(folder, "features.parquet")
        scale = Scale(customers, 2 * customers, days, date(2024, 1, 1))
        to_frame(simulate(scale, 0)).write_parquet(events)
        backfills.write_features(spec, events, features)
        return read_table(features, spec)


def line(name: str, made: Trained, table: Table, repeat: int) -> str:
    """A row of the table; scikit-learn's times as multiples of ONNX Runtime's."""
    model, rows = Model(made.bundle, made.model), table.features[-BATCH:]
    one = rows[:1]
    served = [
        cpu_s(lambda: model.raw_scores(one), repeat),
        cpu_s(lambda: model.raw_scores(rows), repeat // 10),
    ]
    trained = [
        cpu_s(lambda: made.fitted.predict_proba(one), repeat // 10),
        cpu_s(lambda: made.fitted.predict_proba(rows), repeat // 10),
    ]
    ratios = [theirs / ours for theirs, ours in zip(trained, served, strict=True)]
    cells = [
        name,
        f"{len(made.model):,}",
        f"{load_s(made.bundle, made.model) * 1e3:.2f}",
        f"{served[0] * 1e6:.1f}",
        f"{served[1] * 1e3:.2f}",
        f"{ratios[0]:.0f}×",
        f"{ratios[1]:.1f}×",
        f"{made.bundle.conversion.max_difference:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def by_skl2onnx(made: Trained, table: Table, repeat: int) -> str:
    """What the older operator weighs and takes to load, as multiples of ours."""
    estimator = parts(made.fitted)[0].fitted_
    options = {id(estimator): {"zipmap": False}}
    older = to_onnx(estimator, table.features[:1], options=options, target_opset=18).SerializeToString()
    theirs, ours = loaded_s(older), loaded_s(made.model)
    return f"{len(older) / len(made.model):.1f}× the bytes, {theirs / ours:.1f}× the time to load"


def load_s(bundle: bundles.Bundle, model: bytes) -> float:
    """CPU of opening a bundle: hashes, parsing, one row."""
    data = bundles.encode(bundle)
    return cpu_s(lambda: Model.load(data, model), 10)


def loaded_s(model: bytes) -> float:
    """CPU of ONNX Runtime opening a graph, as scoring does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return cpu_s(lambda: onnxruntime.InferenceSession(model, options), 10)


def cpu_s(work: Callable[[], object], times: int) -> float:
    """The median CPU time of a call, in chunks that the clock can tell."""
    work()
    chunk = max(1, times // 10)
    took = []
    for _ in range(max(3, times // chunk)):
        began = time.process_time()
        for _ in range(chunk):
            work()
        took.append((time.process_time() - began) / chunk)
    return median(took)


if __name__ == "__main__":
    sys.exit(main())
