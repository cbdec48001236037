"""`make chaos`: the same stream with and without faults, and what differs.

    python -m streamscore.chaos --seeds 3 --events 20000

Ends with 1 if any seed shows a difference, and says how to run that seed again.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import click

from stream_features import spec as specs
from streamscore.chaos import stream
from streamscore.chaos.contents import differences
from streamscore.chaos.run import Ran, parts_for, run
from streamscore.chaos.schedule import NOTHING, Schedule

_SPEC = Path(__file__).resolve().parents[2] / "src/features.toml"
SHARDS = 2


@click.command()
@click.option("--seeds", default=3, show_default=True, help="How many schedules to run.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option(
    "--events", default=20_000, show_default=True, help="Events in the stream; labels come besides."
)
@click.option("--keep", is_flag=True, help="Keep the folders of runs that differ, logs included.")
def main(seeds: int, first: int, events: int, keep: bool) -> None:
    """Run a stream under SEEDS schedules of faults and compare each with a run without faults."""
    spec = specs.parse(_SPEC.read_text(encoding="utf-8"), str(_SPEC))
    folder = Path(tempfile.mkdtemp(prefix="streamscore-chaos-"))
    failed = []
    try:
        material = stream.prepare(folder / "material", spec, events)
        plain = run(folder / "plain", spec, material, NOTHING, parts_for(events, shards=1))
        click.echo(f"{len(material.records)} records, without faults: {_told(plain)}")
        if wrong := differences(plain.contents, plain.contents, 0):
            raise click.ClickException("the run without faults is not whole: " + "; ".join(wrong))
        for seed in range(first, first + seeds):
            ran = run(folder / f"seed-{seed}", spec, material, Schedule(seed), parts_for(events, SHARDS))
            wrong = differences(plain.contents, ran.contents, ran.broken)
            click.echo(f"seed {seed}: {'DIFFERS' if wrong else 'equal'}; {_told(ran)}")
            for line in wrong:
                click.echo(f"  {line}")
            if wrong:
                failed.append(seed)
                click.echo(f"  again: make chaos ARGS='--seeds 1 --first {seed} --events {events} --keep'")
    finally:
        if keep and failed:
            click.echo(f"kept: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


def _told(ran: Ran) -> str:
    did = {f"calls {fault.name.lower()}": count for fault, count in ran.faults.items()}
    befell = {f"invocations {mishap.name.lower()}": count for mishap, count in ran.mishaps.items()}
    counts = ", ".join(f"{name} {count}" for name, count in sorted((did | befell).items()))
    left = f"{len(ran.contents.decisions)} decided, {ran.contents.quarantined} set aside"
    return f"{left}, {ran.seconds:.0f} s ({counts})"


if __name__ == "__main__":
    main()
