"""Writes events/*.json, one sample event for each function and trigger: run it when the contract changes."""

import json
from pathlib import Path

from stream_features.spec import parse
from streamscore.samples.catalogue import sample_events

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Replace every file in events/."""
    spec = parse((ROOT / "src/features.toml").read_text(encoding="utf-8"))
    folder = ROOT / "events"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, event in sample_events(spec).items():
        (folder / name).write_text(json.dumps(event, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
