"""Writes schemas/bundle.schema.json, the schema of bundle.json."""

from pathlib import Path

from streamscore.bundle_schema import to_json

if __name__ == "__main__":
    (Path(__file__).parents[1] / "schemas" / "bundle.schema.json").write_text(to_json(), encoding="utf-8")
