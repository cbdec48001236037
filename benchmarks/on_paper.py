"""What AWS would take from arrival to decision, by published latencies: the table of docs/latency.md.

    python benchmarks/on_paper.py

Each hop is a distribution through its published quantiles; hops count as independent, their sums are drawn.
"""

from collections.abc import Mapping, Sequence

import numpy as np

DRAWS = 400_000
QUANTILES = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)

# Milliseconds at P10, P50, P90, P99, of 1,024 messages each through Lambda's own mappings, eu-west-1,
# September 2022 (EventBridge: February 2023):
# https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/
PUBLISHED = {
    "Kinesis, polled": (267, 627, 965, 1580),
    "Kinesis, enhanced fan-out": (28.8, 49.4, 67.5, 109),
    "DynamoDB stream": (118, 213, 341, 552),
    "EventBridge": (113, 148, 241, 387),
}
# Ours, not measured on AWS: the CPU of docs/benchmarks.md for small batches, and DynamoDB calls of 4, 6, 10,
# 25 ms, one after another: four for features, none before a decision is made, two for the API.
ASSUMED = {
    "stream_features": (20, 28, 45, 90),
    "scoring until it has decided": (1, 2, 3, 8),
    "gateway and API function, warm": (18, 30, 50, 110),
}
DECIDED = ("stream_features", "DynamoDB stream", "scoring until it has decided")
PATHS: Mapping[str, Sequence[str]] = {
    "stream, polled (the default)": ("Kinesis, polled", *DECIDED),
    "stream, enhanced fan-out": ("Kinesis, enhanced fan-out", *DECIDED),
    "… and on to a subscriber of the bus": ("Kinesis, enhanced fan-out", *DECIDED, "EventBridge"),
    "`POST /predict`, warm": ("gateway and API function, warm",),
}


def drawn(known: Sequence[float], random: np.random.Generator) -> np.ndarray:
    """Milliseconds [DRAWS] of a hop, straight lines between its quantiles; its ends lie as far out again."""
    low, high = max(0.0, known[0] - (known[1] - known[0]) / 2), known[3] + (known[3] - known[2]) / 2
    return np.interp(random.random(DRAWS), QUANTILES, (low, *known, high))


def main() -> None:
    random, hops = np.random.default_rng(0), PUBLISHED | ASSUMED
    print("| from a record's arrival to its decision | p50 | p90 | p99 |\n|---|---|---|---|")
    for name, path in PATHS.items():
        total = np.sum([drawn(hops[hop], random) for hop in path], axis=0)
        print(
            f"| {name} | {' | '.join(f'{value:,.0f} ms' for value in np.percentile(total, [50, 90, 99]))} |"
        )


if __name__ == "__main__":
    main()
