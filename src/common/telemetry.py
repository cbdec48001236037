"""Logs, metrics and the meter: the one module a handler needs to be observed.

A handler is decorated and one line; the room's code below it counts what happened and meters what it used:

    from common.telemetry import count, logger, measure, meter, observed

    @observed
    def handler(event, context):
        return run(event, ...)

    count("EventsApplied", 500)                      # a name of the table in common/metrics.py, else KeyError
    measure("DecisionLatency", latencies_ms)         # many values of one metric
    note(model_version=version)                      # a log property beside the metrics, never a dimension
    meter().dynamodb_write(response)                 # what a call consumed; see common/meter.py
    logger().info("batch applied", extra={"rows": 500})
    follow([event.trace for event in events])        # whose work this is; steps of it: common/tracing.py

Powertools' Logger and Metrics only: importing its tracer costs 200 ms of every cold start even when disabled.
Metrics carry the dimensions `service` and `stage`, nothing else. Counting and measuring belong to the
invocation's own thread; `meter()` may be used from any.
"""

import functools
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import IO, Any, cast

from aws_lambda_powertools import Logger, Metrics

from common import pricing, traceparent, tracing
from common.meter import Meter
from common.metrics import BY_NAME

_PLATFORM_LOG_BYTES = 400  # START, END and REPORT lines of one invocation
_METRIC_LOG_BYTES = 60  # one metric of an EMF line: its definition and its name
_VALUES_A_LINE = 100
_MOST_TRACES = 100  # in one invocation's log line: 3 KB
_TRACES_A_WARNING = 10


class _CountedStdout:
    """Standard output as it is now, counting what the logger writes, so that logs appear on the bill."""

    def write(self, text: str) -> int:
        meter().logged(len(text))
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


_stdout = _CountedStdout()


@functools.cache
def logger() -> Logger:
    """The process's JSON logger. Never give it an entity's value, nor a raw event."""
    log = Logger(service=_service(), stream=cast(IO[str], _stdout), use_rfc3339=True, utc=True)
    log.append_keys(stage=_stage())
    return log


@functools.cache
def metrics() -> Metrics:
    """The process's EMF metrics; prefer `count`, `measure` and `note`, which keep to the table of names."""
    made = Metrics(
        service=_service(), namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "streamscore")
    )
    made.set_default_dimensions(service=_service(), stage=_stage())
    return made


def count(name: str, amount: float = 1) -> None:
    """Add `amount` to a metric of the table; zero emits nothing. KeyError for a name that is not listed."""
    unit = BY_NAME[name].unit
    if amount:
        metrics().add_metric(name=name, unit=unit, value=float(amount))


def measure(name: str, values: float | Iterable[float]) -> None:
    """Record each finite value of a metric of the table (latencies, a PSI). KeyError for any other name.

    Many values are printed at once, a hundred a line: Powertools takes 20 ms to add 500 of them one by one.
    """
    unit = BY_NAME[name].unit
    finite = [
        float(v) for v in ((values,) if isinstance(values, int | float) else values) if math.isfinite(v)
    ]
    if len(finite) == 1:
        metrics().add_metric(name=name, unit=unit, value=finite[0])
        return
    for some in itertools.batched(finite, _VALUES_A_LINE, strict=False):
        measured = {name: {"Unit": unit, "StorageResolution": 60, "Value": list(some)}}
        line = json.dumps(metrics().serialize_metric_set(metrics=measured))
        _stdout.write(line + "\n")


def note(**properties: str | float) -> None:
    """Put properties beside this invocation's metrics in the log, for Logs Insights; they cost no metric."""
    for name, value in properties.items():
        metrics().add_metadata(key=name, value=value)


def follow(traces: Iterable[str | None]) -> None:
    """Say whose traces this invocation works on: property `traces` of its metrics' log line, and X-Ray's
    annotation `producers`. Those that their producers sample, 32 hex digits each, the first 100.
    """
    ids = traceparent.sampled_ids(traces, _MOST_TRACES)
    if ids:
        note(traces=" ".join(ids))
        meter().logged(33 * len(ids))
        tracing.producers(ids)


def some_traces(traces: Iterable[str | None]) -> list[str]:
    """For a log line about rows: whose they are, so far as producers said; as written, the first few."""
    return list(itertools.islice((trace for trace in traces if trace), _TRACES_A_WARNING))


_of_init = Meter()
_current = _of_init


def meter() -> Meter:
    """The meter of the invocation under way; before the first, INIT's, which goes on the first's bill."""
    return _current


_init_ms = 0.0


def init_ended() -> None:
    """The process is ready as of now; what was counted on the way is written out."""
    _end_init()
    if metrics().metric_set:
        metrics().flush_metrics()


def _end_init() -> None:
    global _init_ms  # noqa: PLW0603 - a process starts once
    _init_ms = _ms_since_process_start()


def observed[R](handler: Callable[[dict[str, Any], Any], R]) -> Callable[[dict[str, Any], Any], R]:
    """Decorate a Lambda handler: meter the invocation, emit its cost and its metrics, also when it raises.

    The first invocation also bills the time from process start to this decoration, or to `init_ended` (INIT
    is billed since 2025-08), and what was read on the way. An invocation that Lambda kills (time-out, memory)
    emits nothing.
    """
    _end_init()
    cold = True

    @functools.wraps(handler)
    def invoke(event: dict[str, Any], context: Any) -> R:
        nonlocal cold
        started, repeated, init, cold = time.perf_counter(), None, _init_ms if cold else None, False
        _begin(context)
        try:
            with tracing.invocation(_service()):
                result = handler(event, context)
            repeated = repeated_share(event, result)
            return result
        finally:
            _finish((time.perf_counter() - started) * 1000, init, _memory_mb(context), repeated)

    return invoke


def _begin(context: Any) -> None:
    global _current  # noqa: PLW0603 - one invocation at a time is Lambda's own contract
    before, _current = _current, Meter(on_demand=os.environ.get("STREAM_MODE") == "ON_DEMAND")
    if before is _of_init:
        _current.take(before)
    metrics().clear_metrics()
    logger().append_keys(request_id=getattr(context, "aws_request_id", None))


def repeated_share(event: Any, result: Any) -> float:
    """The part of a batch, by number of records, that its partial reply has Lambda deliver again: all from
    the lowest sequence number named; the whole if that is empty or unknown. Zero for any other event.
    """
    failures = result.get("batchItemFailures") if isinstance(result, dict) else None
    records = event.get("Records") if failures else None
    if not failures or not records:
        return 0.0
    sequences = [
        record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["dynamodb"]["SequenceNumber"]
        for record in records
    ]
    places = [sequences.index(f["itemIdentifier"]) for f in failures if f["itemIdentifier"] in sequences]
    return 1.0 - min(places, default=0) / len(records)


def _finish(duration_ms: float, init_ms: float | None, memory_mb: int, repeated: float | None) -> None:
    """`repeated` is the part of the work that will be done again; None if the handler raised: all of it."""
    count("InvocationsFailed", repeated is None)
    if init_ms is not None:
        count("ColdStarts")
        measure("InitDuration", init_ms)
    meter().add(lambda_requests=1, lambda_gb_s=pricing.lambda_gb_s(duration_ms + (init_ms or 0.0), memory_mb))
    meter().logged(_PLATFORM_LOG_BYTES + _METRIC_LOG_BYTES * (len(metrics().metric_set) + 4))
    for component, usd in pricing.cost_by_component(meter().usage).items():
        count(f"{component}CostUSD", usd)
    total = pricing.cost_usd(meter().usage)
    count("EstimatedCostUSD", total)
    count("WastedCostUSD", total * (1.0 if repeated is None else repeated))
    count("CapacityUnitsEstimated", meter().estimated_units)
    metrics().flush_metrics()


def _memory_mb(context: Any) -> int:
    limit = getattr(context, "memory_limit_in_mb", None)
    return int(limit or os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"))


def _ms_since_process_start() -> float:
    """By /proc, which knows when the process began (to 10 ms); zero where there is no /proc."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - keeps pathlib out of INIT
            ticks = int(stat.read().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    return max(0.0, (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")) * 1000)


def _service() -> str:
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "unnamed")


def _stage() -> str:
    return os.environ.get("STAGE", "none")
