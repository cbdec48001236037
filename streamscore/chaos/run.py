"""One run of the stream through a world under a schedule, and what it left."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from stream_features.spec import Spec
from streamscore.chaos import stream
from streamscore.chaos.befell import befell
from streamscore.chaos.contents import Contents, contents
from streamscore.chaos.schedule import Schedule
from streamscore.chaos.world import Parts, World, world
from streamscore.training import bundles, pointers

DRAIN_WITHIN_S = 1800.0


@dataclass(frozen=True)
class Ran:
    """A run's end, and what it went through: `befell` says how often what happened.

    `seconds` and `cpu_s` are of everything in it, start and end of the stack included.
    """

    contents: Contents
    events: int
    rubbish: Mapping[bytes, int]
    befell: Mapping[str, int]
    seconds: float
    cpu_s: float


def run(folder: Path, spec: Spec, material: stream.Material, schedule: Schedule, parts: Parts) -> Ran:
    """Put the stream, wait until all is worked off, and read what is there. `folder` is removed before."""
    shutil.rmtree(folder, ignore_errors=True)
    began, cpu_began_s = monotonic(), _cpu_s()
    with world(folder, spec, schedule, parts) as made:
        _promote(made, material.bundle)
        made.stack.start()
        arn = made.stack.outputs["EventsStreamArn"]
        sent = stream.put(made.producer(), made.stack.client("kinesis"), arn, material.records, schedule)
        made.stack.drain(DRAIN_WITHIN_S)
        heard = made.heard
        more = {
            "records on the stream again, by the producer": heard.landed
            - len(material.records)
            - heard.rubbish.total(),
            "records put that cannot be applied": heard.rubbish.total(),
            "processes with a wrong clock": made.processes if schedule.skew_s else 0,
        }
        happened = befell(made.proxy.seen, made.mishaps, made.metered.sums, sent, more)
        left = contents(made, spec)
    took_s, took_cpu_s = monotonic() - began, _cpu_s() - cpu_began_s
    return Ran(left, material.events, heard.rubbish, happened, took_s, took_cpu_s)


def parts_for(events: int, shards: int) -> Parts:
    """A world whose functions are invoked some dozens of times at least."""
    return Parts(shards, batch_size=min(100, max(5, events // 50)))


def _promote(made: World, bundle: Path) -> None:
    stack = made.stack
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], bundle)
    pointers.point(stack.client("ssm"), stack.outputs["PointerPrefix"], version, "chaos")


def _cpu_s() -> float:
    """CPU seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])
