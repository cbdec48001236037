"""One run of the stream through a world under a schedule, and what it left."""

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from stream_features.spec import Spec
from streamscore.chaos import stream
from streamscore.chaos.contents import Contents, contents
from streamscore.chaos.schedule import Fault, Mishap, Schedule
from streamscore.chaos.world import Parts, World, world
from streamscore.training import bundles, pointers

DRAIN_WITHIN_S = 1800.0


@dataclass(frozen=True)
class Ran:
    """A run's end, and what it went through. `broken`: records put that could not be parsed."""

    contents: Contents
    broken: int
    faults: Mapping[Fault, int]
    mishaps: Mapping[Mishap, int]
    poller_restarts: int
    seconds: float


def run(folder: Path, spec: Spec, material: stream.Material, schedule: Schedule, parts: Parts) -> Ran:
    """Put the stream, wait until all is worked off, and read what is there. `folder` is removed before."""
    shutil.rmtree(folder, ignore_errors=True)
    began = monotonic()
    with world(folder, spec, schedule, parts) as made:
        _promote(made, material.bundle)
        made.stack.start()
        arn = made.stack.outputs["EventsStreamArn"]
        kinesis = made.stack.client("kinesis")
        broken = stream.put(kinesis, arn.rpartition("/")[2], arn, material.records, schedule)
        made.stack.drain(DRAIN_WITHIN_S)
        faults = Counter[Fault]()
        for (_operation, fault), count in made.proxy.seen.items():
            faults[fault] += count
        left = contents(made, spec)
        return Ran(left, broken, faults, made.mishaps, made.keeper.restarts, monotonic() - began)


def parts_for(events: int, shards: int) -> Parts:
    """A world whose functions are invoked some dozens of times at least."""
    return Parts(shards, batch_size=min(100, max(5, events // 50)))


def _promote(made: World, bundle: Path) -> None:
    stack = made.stack
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], bundle)
    pointers.point(stack.client("ssm"), stack.outputs["PointerPrefix"], version, "chaos")
