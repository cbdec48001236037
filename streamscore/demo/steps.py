"""A run's steps: told to whoever listens, and timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from streamscore.progress import Progress, Step


@dataclass
class Steps:
    """Passes steps on to whoever listens, and keeps how long each took."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str, unit: str = "") -> Iterator[Step]:
        """One step."""
        start_s = monotonic()
        with self.progress.step(name, unit) as step:
            yield step
        self.seconds[name] = round(monotonic() - start_s, 3)
