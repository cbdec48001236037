"""What one record sees of a history: the features of the plain path."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from stream_features.any_order import History, Values
from stream_features.columns import NULL
from stream_features.decay import Mean
from stream_features.layout import Use
from stream_features.recall import REMEMBERED_VALUES
from stream_features.spec_model import HISTORY_MS


def features(history: History, time_ms: int, own: Values | None) -> list[float]:
    """The layout's features as of `time_ms`; `own` are the values of the event itself, if it counts.

    Call it before `History.add_event`: all points there have arrived before the event.
    """
    view = View(history, time_ms, own)
    return [view.answer(use) for use in history.layout.uses]


@dataclass(frozen=True)
class View:
    """A history as it is seen at a time, by an event with the values `own`, or by none."""

    history: History
    time_ms: int
    own: Values | None

    def answer(self, use: Use) -> float:
        """A feature's value; NaN if it is not known."""
        return _ANSWERS[use.feature.op](self, use)

    def window(self, use: Use) -> list[Values]:
        """The measures of the tiles and events of a feature's window, the event itself among them."""
        history, feature = self.history, use.feature
        start = history.edge_ms(self.time_ms, feature.delay_ms + feature.window_ms)
        end = history.edge_ms(self.time_ms, feature.delay_ms)
        rows = [row for at, row in history.tiles.items() if start <= at < end]
        events = history.head[bisect_left(history.head_ms, start) : bisect_left(history.head_ms, end)]
        if self.own is not None and feature.delay_ms == 0:
            events = [*events, self.own]
        measures = history.layout.measures
        return rows + [[history.measured(measure, event) for measure in measures] for event in events]

    def _total(self, use: Use, measure: int) -> int:
        return sum(row[measure] for row in self.window(use))

    def _count(self, use: Use) -> float:
        return float(self._total(use, use.count))

    def _sum(self, use: Use) -> float:
        return float(self._total(use, use.sum)) / use.scale

    def _mean(self, use: Use) -> float:
        return _ratio(self._total(use, use.sum), self._total(use, use.count) * use.scale)

    def _std(self, use: Use) -> float:
        count, total = self._total(use, use.count), self._total(use, use.sum)
        spread = count * self._total(use, use.squares) - total * total
        return math.sqrt(_ratio(spread, count * (count - 1))) / use.scale

    def _extreme(self, use: Use) -> float:
        known = [row[use.extreme] for row in self.window(use) if row[use.extreme] != NULL]
        found = min if use.feature.op == "min" else max
        return found(known) / use.scale if known else math.nan

    def _positives(self, use: Use) -> int:
        history, feature = self.history, use.feature
        start = history.label_edge_ms(self.time_ms, feature.delay_ms + feature.window_ms)
        end = history.label_edge_ms(self.time_ms, feature.delay_ms)
        raw = bisect_left(history.positives, end) - bisect_left(history.positives, start)
        tiled = sum(count for at, count in history.positive_tiles.items() if start <= at < end)
        return max(raw, 0) + tiled

    def _label_count(self, use: Use) -> float:
        return float(self._positives(use))

    def _label_rate(self, use: Use) -> float:
        return _ratio(self._positives(use), self._total(use, use.count))

    def _seen(self, use: Use) -> list[tuple[int, int]]:
        """The times and values that are remembered, in the order in which they were seen."""
        history, memory = self.history, self.history.layout.memories[use.memory]
        events = zip(history.head_ms, history.head, strict=True)
        seen = [*history.memories[use.memory], *((at, history.token(memory, own)) for at, own in events)]
        end_ms = history.edge_ms(self.time_ms, 0)
        return [(at, token) for at, token in seen if token != NULL and at < end_ms]

    def _inside(self, use: Use) -> set[int]:
        start_ms = self.history.edge_ms(self.time_ms, use.feature.window_ms)
        return {token for at, token in self._seen(use) if at >= start_ms}

    def _own_token(self, use: Use) -> int:
        memory = self.history.layout.memories[use.memory]
        return NULL if self.own is None else self.history.token(memory, self.own)

    def _distinct(self, use: Use) -> float:
        return float(min(len((self._inside(use) | {self._own_token(use)}) - {NULL}), REMEMBERED_VALUES))

    def _is_new(self, use: Use) -> float:
        token = self._own_token(use)
        recent = list(dict.fromkeys(seen for _, seen in reversed(self._seen(use))))[:REMEMBERED_VALUES]
        return math.nan if token == NULL else float(token not in self._inside(use) or token not in recent)

    def _before(self) -> int:
        """The place in the head of the event before, -1 if none is known."""
        at = bisect_right(self.history.head_ms, self.time_ms) - 1
        return at if at >= 0 and self.time_ms - self.history.head_ms[at] < HISTORY_MS else -1

    def _since_last(self, use: Use) -> float:
        at = self._before()
        return (self.time_ms - self.history.head_ms[at]) / 1000.0 if at >= 0 else math.nan

    def _last(self, use: Use) -> float:
        at = self._before()
        value = self.history.head[at][use.column] if at >= 0 else NULL
        return math.nan if value == NULL else value / use.scale

    def _same_as_last(self, use: Use) -> float:
        at = self._before()
        before = self.history.head[at][use.column] if at >= 0 else NULL
        now = NULL if self.own is None else self.own[use.column]
        return math.nan if NULL in {before, now} else float(now == before)

    def _ewma(self, use: Use) -> float:
        history = self.history
        if any(mean.weight > 0.0 for mean in history.tail) and self.time_ms < history.tail_ms:
            return math.nan
        means: list[Mean] = history.means(self.time_ms)
        if self.own is not None:
            at = bisect_right(history.head_ms, self.time_ms)
            before_ms = [history.head_ms[at - 1] if at else history.tail_ms]
            means = history.carried(means, before_ms, self.time_ms, self.own)
        return means[use.decay].value(use.scale)


_ANSWERS: dict[str, Callable[[View, Use], float]] = {
    "count": View._count,
    "sum": View._sum,
    "mean": View._mean,
    "std": View._std,
    "min": View._extreme,
    "max": View._extreme,
    "label_count": View._label_count,
    "label_rate": View._label_rate,
    "distinct": View._distinct,
    "is_new": View._is_new,
    "since_last": View._since_last,
    "last": View._last,
    "same_as_last": View._same_as_last,
    "ewma": View._ewma,
}


def _ratio(numerator: int, denominator: int) -> float:
    return float(numerator) / float(denominator) if denominator else math.nan
