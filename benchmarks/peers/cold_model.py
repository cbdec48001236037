"""Trains the naive peer's model, of the default estimator's kind and size, on FEATURES, and pickles it.

python cold_model.py FEATURES LABEL FIRST_FEATURE OUT
"""

import pickle
import sys
from pathlib import Path

import polars as pl
from sklearn.ensemble import RandomForestClassifier

features, label, columns, out = sys.argv[1:]
frame = pl.read_parquet(features).drop_nulls(label)
model = RandomForestClassifier(n_estimators=100, random_state=0)
model.fit(frame.select(columns.split(",")).to_numpy(), frame[label].to_numpy())
Path(out).write_bytes(pickle.dumps(model))
