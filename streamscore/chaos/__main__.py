"""`make chaos`: the same stream with and without faults, and what differs.

    python -m streamscore.chaos --seeds 3 --events 20000

Ends with 1 if any seed shows a difference, and says how to run that seed again.
"""

import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import click

from stream_features import spec as specs
from stream_features.spec import Spec
from streamscore.chaos import labels, mutations, stream
from streamscore.chaos.befell import never
from streamscore.chaos.contents import Contents
from streamscore.chaos.differences import differences
from streamscore.chaos.run import Ran, parts_for, run
from streamscore.chaos.schedule import NOTHING, schedule_of
from streamscore.chaos.world import Parts

SHARDS = 2


@dataclass(frozen=True)
class Trial:
    """A stream, and what it leaves behind without faults."""

    folder: Path
    spec: Spec
    material: stream.Material
    plain: Contents
    parts: Parts

    def under(self, seed: int, parts: Parts | None = None) -> list[str]:
        """Run it under the faults of a seed and tell; returns what differs. Then the run's folder is left."""
        folder = self.folder / f"seed-{seed}"
        schedule = schedule_of(seed, self.material.events)
        ran = run(folder, self.spec, self.material, schedule, parts or self.parts)
        wrong = differences(self.plain, ran.contents, ran.events, ran.rubbish)
        click.echo(f"seed {seed}: {'DIFFERS' if wrong else 'equal'}; {_told(ran)}")
        click.echo("  " + ", ".join(f"{what} {count}" for what, count in ran.befell.items() if count))
        if missing := ", ".join(never(ran.befell)):
            click.echo(f"  not in this run: {missing}")
        for line in wrong:
            click.echo(f"  {line}")
        if not wrong:
            shutil.rmtree(folder)
        return wrong


@click.command()
@click.option("--seeds", default=3, show_default=True, help="How many schedules to run.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option(
    "--events", default=20_000, show_default=True, help="Events in the stream; labels come besides."
)
@click.option("--mutations", "mutate", is_flag=True, help="Break one rule after another: each must show.")
@click.option("--keep", is_flag=True, help="Keep the folders of runs that differ, logs included.")
def main(seeds: int, first: int, events: int, mutate: bool, keep: bool) -> None:
    """Run a stream under SEEDS schedules of faults and compare each with a run without faults."""
    folder = Path(tempfile.mkdtemp(prefix="streamscore-chaos-"))
    failed = True
    try:
        trial = _trial(folder, events)
        failed = not (_mutated(trial, first) if mutate else _held(trial, range(first, first + seeds), events))
    finally:
        if keep and failed:
            click.echo(f"kept: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


def _trial(folder: Path, events: int) -> Trial:
    path = mutations.PROJECT / "src/features.toml"
    spec = specs.parse(path.read_text(encoding="utf-8"), str(path))
    material = stream.prepare(folder / "material", spec, events)
    ways = Counter(labels.coming(event).value for event in range(material.events))
    click.echo(
        f"{material.events} events, {len(material.records) - material.events} labels: "
        + ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))
    )
    plain = run(folder / "plain", spec, material, NOTHING, parts_for(events, shards=1))
    click.echo(f"without faults: {_told(plain)}")
    if wrong := differences(plain.contents, plain.contents, plain.events, plain.rubbish):
        raise click.ClickException("the run without faults is not whole: " + "; ".join(wrong))
    return Trial(folder, spec, material, plain.contents, parts_for(events, SHARDS))


def _held(trial: Trial, seeds: range, events: int) -> bool:
    began_s = monotonic()
    failed = [seed for seed in seeds if trial.under(seed)]
    minutes = (monotonic() - began_s) / 60
    click.echo(f"{len(seeds)} seeds of {events} events in {minutes:.0f} min: {len(failed)} differ")
    for seed in failed:
        click.echo(f"again: make chaos ARGS='--seeds 1 --first {seed} --events {events} --keep'")
    return not failed


def _mutated(trial: Trial, first: int) -> bool:
    """Whether every broken rule shows within some seeds."""
    unseen = []
    for mutation in mutations.MUTATIONS:
        click.echo(f"broken: {mutation.name}")
        parts = mutations.broken(mutation, trial.folder / "broken", trial.parts)
        if not any(trial.under(seed, parts) for seed in range(first, first + mutations.SEEDS)):
            unseen.append(mutation.name)
            click.echo("  NOT SEEN")
    return not unseen


def _told(ran: Ran) -> str:
    aside = sum(ran.contents.quarantined.values())
    sent = ran.events + sum(ran.rubbish.values())
    left = f"{len(ran.contents.decisions)} decided, {aside} set aside, {ran.contents.given_up} given up"
    return f"{left}, of {sent} sent; {ran.seconds:.0f} s, {ran.cpu_s:.0f} s CPU"


if __name__ == "__main__":
    main()
