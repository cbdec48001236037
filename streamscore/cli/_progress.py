"""Progress on stderr: bars on a terminal; elsewhere a plain line a step, and one every ten seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SILENCE_S = 10.0
NAME_WIDTH = 26


def told(text: str) -> None:
    """A line on stderr, about something that is waited for."""
    click.echo(f"  {text}", err=True)


class _Step:
    """Counts and notes; a step that takes long says so every ten seconds."""

    def __init__(self, name: str, unit: str) -> None:
        self._name, self._unit = name, unit
        self._start_s = self._spoke_s = time.monotonic()
        self._total, self._done, self._note = 0, 0, ""

    def expect(self, total: int) -> None:
        self._total = total

    def advance(self, amount: int) -> None:
        self._done += amount
        self.show()

    def note(self, text: str) -> None:
        self._note = text

    def show(self) -> None:
        """Say how far it is, unless something was said a moment ago."""
        if time.monotonic() - self._spoke_s >= SILENCE_S:
            self._spoke_s = time.monotonic()
            of = f" of {self._total:,}" if self._total else ""
            click.echo(f"  {self._name}: {self._done:,}{of} {self._unit}", err=True)

    def line(self) -> str:
        """The step in one line: name, time taken, what came of it."""
        taken_s = time.monotonic() - self._start_s
        rate = f", {self._done / max(taken_s, 1e-9):,.0f} {self._unit}/s" if self._done else ""
        note = self._note or (f"{self._done:,} {self._unit}" if self._done else "")
        return f"{self._name:<{NAME_WIDTH}} {taken_s:6.1f} s  {note}{rate}".rstrip()


class _BarStep(_Step):
    """The same, drawn as a bar."""

    def __init__(self, name: str, unit: str, bars: Progress) -> None:
        super().__init__(name, unit)
        self._bars = bars
        self._task: TaskID = bars.add_task(f"{name:<{NAME_WIDTH}}", total=None, done="")

    def expect(self, total: int) -> None:
        super().expect(total)
        self._bars.update(self._task, total=total)

    def show(self) -> None:
        self._bars.update(self._task, completed=self._done, done=f"{self._done:,} {self._unit}")


class TerminalProgress:
    """Writes to stderr, so that stdout stays the command's result."""

    @contextmanager
    def step(self, name: str, unit: str = "") -> Iterator[_Step]:
        """One step; nothing is said of it when it fails: the error says more."""
        if not sys.stderr.isatty():
            step = _Step(name, unit)
            yield step
            click.echo(step.line(), err=True)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"))
        with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
            step = _BarStep(name, unit, bars)
            yield step
        click.echo(step.line(), err=True)
