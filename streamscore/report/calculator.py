"""What the page's calculator needs of `streamscore.estimate`: a workload, prices, constants, its sliders."""

from dataclasses import asdict
from types import ModuleType
from typing import Any, NamedTuple

from streamscore.estimate import bill as bills
from streamscore.estimate import flow
from streamscore.estimate.price_file import PriceTable
from streamscore.estimate.workload import Workload


class Slider(NamedTuple):
    """One number of a workload. With `log`, equal ways are equal factors, and values have two digits."""

    name: str
    label: str
    low: float
    high: float
    step: float
    unit: str = ""
    log: bool = False

    @property
    def option(self) -> str:
        """The option of `streamscore estimate`."""
        return "--" + self.name.replace("_", "-")


SLIDERS = (
    Slider("events_per_s", "Events a second", 0.1, 50_000, 0, "/s", log=True),
    Slider("profile", "Peak of the day over its mean", 1, 10, 0.5, "×"),
    Slider("labels_share", "Label records an event", 0, 2, 0.05),
    Slider("flagged_share", "Part reviewed or blocked", 0, 0.2, 0.001),
    Slider("state_bytes", "Bytes of an entity's state", 200, 8_000, 100, "B"),
    Slider("entities", "Entities", 100, 10_000_000, 0, log=True),
    Slider("batch", "Records an invocation (0: as the rate gives)", 0, 500, 1),
    Slider("memory_mb", "Memory of a function", 128, 3_538, 1, "MB"),
    Slider("retention_days", "Days that decisions are kept", 0, 800, 5),
    Slider("api_per_s", "Requests a second over HTTP", 0, 1_000, 1, "/s"),
)
SWITCHES = (("on_demand", "Stream on demand"), ("fan_out", "Enhanced fan-out"))


def settings(table: PriceTable) -> dict[str, Any]:
    """For `estimate.js`. Constants are all numbers in capitals of flow.py and bill.py."""
    return {
        "workload": asdict(Workload()),
        "prices": {name: (price.component, price.usd) for name, price in table.prices.items()},
        "constants": {**_constants(flow), **_constants(bills)},
        "sliders": [one._asdict() | {"option": one.option} for one in SLIDERS],
        "switches": [name for name, _ in SWITCHES],
    }


def _constants(module: ModuleType) -> dict[str, float]:
    return {
        name.lstrip("_"): value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, int | float)
    }
