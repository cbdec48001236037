"""Events made up for any spec: entities by Zipf's law, values that its types take. Pure, by a seed."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream_features.spec_model import Field, Scalar, Spec
from streamscore.producer.records import place
from streamscore.producer.stream import Record

_WORDS, _ABSENT, _LARGEST, _FLOAT_DIGITS = 10, 0.1, 2.0**40, 6
_OTHER_ENTITIES = 5
"""Of the other entities there are so many times fewer."""


class Zipf:
    """Numbers from 0, number n with a probability proportional to 1 / (n + 1)^skew; skew 0: all alike."""

    def __init__(self, count: int, skew: float) -> None:
        weights = np.arange(1, count + 1, dtype=np.float64) ** -skew
        self._cumulative: npt.NDArray[np.float64] = np.cumsum(weights) / weights.sum()

    def draw(self, rng: np.random.Generator, count: int) -> list[int]:
        """So many of them."""
        found = np.searchsorted(self._cumulative, rng.random(count), side="right")
        return np.minimum(found, len(self._cumulative) - 1).tolist()  # type: ignore[no-any-return]


class Events:
    """Made-up events of a spec. `name` begins their ids, so that two loads have none in common; entities'
    values begin with `load-`.
    """

    def __init__(self, spec: Spec, name: str, keys: int, skew: float, seed: int = 0) -> None:
        self._spec, self._name, self._rng = spec, name, np.random.default_rng(seed)
        fewer = max(1, keys // _OTHER_ENTITIES)
        self._entities = [
            (entity.field, entity.name, Zipf(fewer if place else keys, skew))
            for place, entity in enumerate(spec.entities)
        ]
        ids = {spec.event.id, *(entity.field for entity in spec.entities)}
        listed = _listed(spec)
        self._fields = [
            (field, listed.get(field.name, ())) for field in spec.event.fields if field.name not in ids
        ]

    def id(self, number: int) -> str:
        """The id of an event."""
        return f"{self._name}-{number}"

    def made(self, first: int, count: int, now_ms: int) -> Iterator[Record]:
        """Events `first`, `first` + 1, …, all of this moment."""
        columns = [zipf.draw(self._rng, count) for _, _, zipf in self._entities]
        for number, drawn in enumerate(zip(*columns, strict=True), first):
            event: dict[str, Any] = {self._spec.event.id: self.id(number), self._spec.event.time: now_ms}
            for (field, name, _), value in zip(self._entities, drawn, strict=True):
                event[field] = f"load-{name}-{value}"
            for one, some in self._fields:
                if not (one.optional and self._rng.random() < _ABSENT):
                    place(event, one, self._value(one, some))
            yield Record(now_ms, event[self._spec.entities[0].field], msgspec.json.encode(event))

    def _value(self, field: Field, listed: tuple[Scalar, ...]) -> Scalar:
        """Values that the spec's conditions name come often; amounts are log-normal around 30."""
        if field.kind == "bool":
            return bool(self._rng.random() < 0.5)
        if field.kind == "string":
            choice = int(self._rng.integers(_WORDS))
            return listed[choice % len(listed)] if listed else f"load-{choice}"
        amount = min(float(self._rng.lognormal(3.4, 1.0)), _LARGEST / 10**field.digits)
        digits = _FLOAT_DIGITS if field.kind == "float" else field.digits
        return round(amount, digits) if digits else int(amount)


def _listed(spec: Spec) -> Mapping[str, tuple[Scalar, ...]]:
    """The values that conditions and `one_of` name, by field."""
    found: dict[str, dict[Scalar, None]] = {}
    for feature in spec.features:
        for value in feature.values:
            found.setdefault(feature.of or "", {})[value] = None
        for name, value in feature.where:
            found.setdefault(name, {})[value] = None
    return {name: tuple(values) for name, values in found.items()}
