"""Runs the targets of tests/fuzzing.py under atheris, one after the other: any exception but ours ends it.

What was found lies under .local/fuzz/ and is tried first the next time; bytes that broke a target are named.
"""

import subprocess
import sys
from pathlib import Path

import atheris
import click

KEPT = Path(".local/fuzz")
MOST_BYTES = 1 << 16
ROOMS = ["common", "stream_features", "scoring", "monitor"]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seconds", default=600, show_default=True, help="For each target.")
@click.option("--here", is_flag=True, hidden=True, help="In this process, which libFuzzer ends.")
def main(names: tuple[str, ...], seconds: int, here: bool) -> None:
    """Try to break NAMES, or all targets."""
    with atheris.instrument_imports(include=ROOMS):
        from tests.fuzzing import TARGETS, survives  # noqa: PLC0415 - the rooms are instrumented as they load
    if unknown := set(names) - set(TARGETS):
        raise click.UsageError(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if not here:
        for name in names or TARGETS:
            click.echo(f"{name}: {seconds} s")
            own = [sys.executable, __file__, name, "--seconds", str(seconds), "--here"]
            subprocess.run(own, check=True)  # noqa: S603 - this very script
        return
    target, corpus = TARGETS[names[0]], KEPT / names[0]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", "-rss_limit_mb=4096", "-timeout=30"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={corpus}/broke-", str(corpus)],
        lambda data: survives(target, data),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
