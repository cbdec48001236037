"""What a schedule really did to a run, kind by kind, and which kinds it did nothing of. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping

from streamscore.chaos.proxy import PARTLY
from streamscore.chaos.schedule import Fault, Mishap
from streamscore.chaos.stream import Sent
from streamscore.local.emf import metric_data

_WANTED_FUNCTIONS = ("StreamFeaturesFunction", "ScoringFunction", "MonitorWindowsFunction")
_METRICS = {
    "StateConflicts": "conditional writes that met another version",
    "RecordsReplayed": "records delivered again that were applied already",
    "DecisionsRepeated": "rows scored again whose decision stood",
    "DuplicatesDropped": "records dropped that were known already",
}


class Metered:
    """Sums of the metrics that functions print and that tell of repeats and conflicts, by name."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()

    def offer(self, line: bytes) -> None:
        """Take one log line."""
        for _namespace, datum in metric_data(line):
            if (name := datum["MetricName"]) in _METRICS:
                self.sums[name] += round(sum(datum["Values"]))


def befell(
    calls: Mapping[tuple[str, Fault], int],
    mishaps: Mapping[tuple[str, Mishap], int],
    metered: Mapping[str, int],
    sent: Sent,
    more: Mapping[str, int],
) -> dict[str, int]:
    """How often each thing happened that is meant to happen; 0 for what did not."""
    found = {f"calls {fault.value}": 0 for fault in Fault if fault not in {Fault.NONE, Fault.PARTIAL}}
    found |= {f"{operation} {Fault.PARTIAL.value}": 0 for operation in PARTLY}
    found |= {f"{function}: {mishap.value}": 0 for mishap in _MISHAPS for function in _WANTED_FUNCTIONS}
    found[Mishap.POLLER_KILLED.value] = 0
    for (operation, fault), count in calls.items():
        if fault is not Fault.NONE:
            found[f"{operation if fault is Fault.PARTIAL else 'calls'} {fault.value}"] += count
    for (function, mishap), count in mishaps.items():
        if mishap is not Mishap.NONE:
            name = mishap.value if mishap is Mishap.POLLER_KILLED else f"{function}: {mishap.value}"
            found[name] = found.get(name, 0) + count
    found |= {words: metered.get(name, 0) for name, words in _METRICS.items()}
    found |= {f"{kind}s put again": sent.repeats[kind] for kind in ("event", "label")}
    found |= {f"shards: {kind}": sent.reshards[kind] for kind in ("split", "merge")}
    return {**found, **more}


_MISHAPS = (Mishap.THROTTLED, Mishap.KILLED)


def never(found: Mapping[str, int]) -> Iterable[str]:
    """What did not happen at all."""
    return [what for what, count in found.items() if not count]
