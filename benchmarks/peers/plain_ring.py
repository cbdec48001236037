"""The plain Python ring alone, no framework around it: what bytewax's own share can be read from.

python plain_ring.py STREAM.npz WARM FEATURES.npy
"""

import platform
import sys
from collections import defaultdict

import numpy as np
from exact_ring import Ring
from stopwatch import Stopwatch


def main(path: str, warm: str, features: str) -> None:
    stream = np.load(path)
    columns = [stream[name].tolist() for name in ("card", "time_ms", "cents", "terminal")]
    rings, watch = defaultdict(Ring), Stopwatch(int(warm))
    rows = [rings[card].add(*event) for card, *event in watch.over(zip(*columns, strict=True))]
    watch.report("CPython " + platform.python_version())
    np.save(features, np.array(rows, np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
