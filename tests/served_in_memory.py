"""A stack in memory: the real protocol over a table, and decisions from the rows that it lets out."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream_features.events import decoder
from stream_features.protocol import Saved, apply_delivery
from stream_features.sharing import SHARING, Sharing, sub_keys
from stream_features.spec import Spec
from stream_features.state import Row, Stored, decode_item, item_key
from stream_features.store import run
from stream_features.turn import Write
from stream_features.verdict import Delivery
from streamscore.parity.aligned import align
from streamscore.parity.compare import compare
from streamscore.parity.report import Report
from streamscore.parity.served import Known, Served, known_of
from streamscore.training.backfill import backfill
from tests.exactly_once import Table

NOW_MS = 1_790_000_000_000


@dataclass
class Memory:
    """Serves records; `table` and `decided` are what a stack would hold."""

    spec: Spec
    table: Table = field(default_factory=Table)
    decided: dict[str, Served] = field(default_factory=dict)
    delivered: int = 0
    sharing: Sharing = SHARING
    key: bytes | None = None

    def read(self, keys: Sequence[str], attempt: int) -> Mapping[str, Stored]:
        return {key: self.table.items[key] for key in keys if key in self.table.items}

    def save(self, writes: Sequence[Write]) -> Sequence[Saved]:
        return [self.table.save(write) for write in writes]

    def deliver(self, datas: Sequence[dict[str, Any]], shard: int = 0) -> None:
        """One record a batch: they arrive, and are folded, in this order."""
        decode = decoder(self.spec, self.key).decode
        for data in datas:
            self.delivered += 1
            record = decode(json.dumps(data).encode(), NOW_MS + self.delivered)
            pairs = zip(self.spec.entities, record.entities, strict=True)
            keys = [item_key(entity.name, value) for entity, value in pairs]
            order = (self.delivered, 0)
            delivery = Delivery(shard, order, [record], [order], [keys])
            assert run(apply_delivery(self.spec, delivery, NOW_MS, self.sharing), self).unfinished is None
            if data.get("type") != "label":
                row = next(r for r in reversed(self.table.rows) if isinstance(r, Row))
                self.decided[row.id] = self._decision(row)
            else:
                before = self.decided[record.id]
                self.decided[record.id] = before._replace(label=record.label)

    def _decision(self, row: Row) -> Served:
        own = (row.id, row.vector, self.spec.sha256, row.entities[0])
        return Served(*own, row.time_ms, row.arrival_ms, None, True)

    def compared_with(self, path: Path, specs: Mapping[str, Spec] | None = None) -> Report:
        whole = backfill(self.spec, path, key=self.key)
        return compare(whole, self.decided, align(whole, self.decided, specs or {}), self.known)

    def known(self, keys: Collection[str]) -> dict[str, Known]:
        items = self.table.items
        whole = {key: [items[one] for one in (key, *sub_keys(key)) if one in items] for key in sorted(keys)}
        return {key: known_of(self.spec, key, some) for key, some in whole.items() if some}

    def known_blob(self, key: str) -> bytes:
        return decode_item(self.table.items[key], 0).blob
