"""The features of a handful of records, for examples and for trying out a spec."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from stream_features.entity_ids import unhashed
from stream_features.events import Event, Label, decoder
from stream_features.kernel import Columns, Group, fold
from stream_features.spec_model import Spec

_NEVER_EARLY_MS = 2**53


def feature_rows(spec: Spec, records: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The features of each event by name, from records as a producer sends them, in the order of arrival.

    Label records (``{"type": "label", …}``) count from where they stand on, and have no row. No record is too
    old; RecordRefusedError for one that the stream would refuse.
    """
    ageless = msgspec.structs.replace(spec.event, max_age_ms=None)
    decode = decoder(unhashed(msgspec.structs.replace(spec, event=ageless))).decode
    found = [decode(msgspec.json.encode(record), _NEVER_EARLY_MS) for record in records]
    groups = [_group(found, place) for place in range(len(spec.entities))]
    columns = Columns.from_records(spec, found)
    rows = fold(spec, columns, groups).features[columns.is_event].tolist()
    return [dict(zip(spec.feature_names, row, strict=True)) for row in rows]


def _group(records: list[Event | Label], place: int) -> Group:
    names = [record.entities[place] for record in records]
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return Group(
        np.array([codes[name] for name in names], np.int32), [b""] * len(codes), np.ones(len(names), np.bool_)
    )
