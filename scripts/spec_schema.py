"""Writes schemas/features.schema.json, the schema of features.toml for editors."""

from pathlib import Path

from streamscore.spec_schema import to_json

if __name__ == "__main__":
    (Path(__file__).parents[1] / "schemas" / "features.schema.json").write_text(to_json(), encoding="utf-8")
