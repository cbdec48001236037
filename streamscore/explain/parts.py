"""What the features of an entity are made of as of one event in its head, by the kernel's plain path."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from stream_features.any_order import History
from stream_features.columns import NULL
from stream_features.layout import Use
from stream_features.looking_back import View
from stream_features.ops import OPS
from stream_features.states import NEVER
from stream_features.tiles import grain_ms
from streamscore.explain.found import Edge, FeatureValue, Parts, Value


@dataclass(frozen=True)
class AsOf:
    """An entity's history as the event at a place of its head found it."""

    history: History
    view: View

    @staticmethod
    def event(history: History, place: int) -> "AsOf":
        """Before that event: what came later is left out of the head (tiles and labels stay as they are)."""
        before_ms = history.head_ms[:place]
        newest_ms = before_ms[-1] if before_ms else max(history.tiles, default=NEVER)
        before = replace(history, newest_ms=newest_ms, head_ms=before_ms, head=history.head[:place])
        return AsOf(before, View(before, history.head_ms[place], history.head[place]))

    def features(self) -> Iterator[FeatureValue]:
        """Every feature of the entity, in the spec's order."""
        for use in self.history.layout.uses:
            value, note = self.view.answer(use), ""
            if math.isnan(value) and use.feature.default is not None:
                value, note = use.feature.default, "missing: the spec's default"
            parts = self._parts(use)
            yield FeatureValue(use.feature.name, use.feature.op, float32(value), parts, note=note)

    def _parts(self, use: Use) -> Parts:
        scope = OPS[use.feature.op].scope
        if scope == "history":
            return Parts(self._history_numbers(use))
        start, end = self._edges(use)
        head = self.history.head_ms
        own = 0 if use.feature.delay_ms else 1
        return Parts(
            numbers=self._numbers(use),
            since=start,
            until=end,
            in_head=bisect_left(head, end.at_ms) - bisect_left(head, start.at_ms) + own,
            in_tiles=sum(start.at_ms <= at < end.at_ms for at in self.history.tiles),
        )

    def _edges(self, use: Use) -> tuple[Edge, Edge]:
        delay_ms, window_ms = use.feature.delay_ms, use.feature.window_ms
        return self._edge(delay_ms + window_ms), self._edge(delay_ms)

    def _edge(self, back_ms: int) -> Edge:
        at_ms = self.history.edge_ms(self.view.time_ms, back_ms)
        exact_ms = self.view.time_ms - back_ms + 1
        among_tiles = bool(self.history.tiles) and (
            not self.history.head_ms or self.history.head_ms[0] >= exact_ms
        )
        return Edge(at_ms, grain_ms(back_ms) if among_tiles else 0)

    def _numbers(self, use: Use) -> dict[str, Value]:
        """Totals over the window, in units."""
        if use.memory >= 0:
            return {}
        rows, measures = self.view.window(use), self.history.layout.measures
        numbers: dict[str, Value] = {
            "events": sum(row[0] for row in rows),
            "counted": sum(row[use.count] for row in rows),
        }
        if use.sum >= 0:
            numbers["sum"] = in_units(sum(row[use.sum] for row in rows), use.scale)
        if use.extreme >= 0:
            known = [row[use.extreme] for row in rows if row[use.extreme] != NULL]
            best = (min if measures[use.extreme].kind == "min" else max)(known, default=NULL)
            numbers[measures[use.extreme].kind] = in_units(best, use.scale)
        if OPS[use.feature.op].labels:
            numbers["known positives"] = self.view._positives(use)
        return numbers

    def _history_numbers(self, use: Use) -> dict[str, Value]:
        if not self.history.head_ms:
            return {}
        last_ms, values = self.history.head_ms[-1], self.history.head[-1]
        numbers: dict[str, Value] = {"event before, ms ago": self.view.time_ms - last_ms}
        if use.column >= 0 and self.history.layout.columns[use.column].kind == "number":
            numbers["its value"] = in_units(values[use.column], use.scale)
        return numbers


def in_units(value: int, scale: int) -> Value:
    """A scaled integer as the number it stands for; None if it is missing."""
    if value == NULL:
        return None
    return value if scale == 1 else value / scale


def float32(value: float) -> Value:
    """As it is served; None for NaN."""
    return None if math.isnan(value) else float(np.float32(value))
