"""Tables with entities by the ids they are kept under."""

import polars as pl

from stream_features.entity_ids import EntityIds
from stream_features.spec_model import Spec


def kept_ids(spec: Spec, ids: EntityIds, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with hashes in the place of hashed entities' values; each value is hashed once."""
    for place, entity in enumerate(spec.entities):
        if entity.hash:
            sent = rows[entity.field].unique()
            kept = pl.Series([ids.id(place, one) for one in sent.to_list()], dtype=pl.String)
            rows = rows.with_columns(pl.col(entity.field).replace_strict(sent, kept, return_dtype=pl.String))
    return rows
