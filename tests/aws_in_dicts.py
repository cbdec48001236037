"""What the monitor needs of AWS, as a few dicts."""

import io
from collections.abc import Mapping
from typing import Any


class Aws:
    """A table, a bucket, parameters and a bus."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.parameters: dict[str, str] = {}
        self.told: list[str] = []

    def put_item(self, *, Item: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's names
        self.items[Item["pk"]["S"], Item["sk"]["S"]] = Item
        return {}

    def query(self, *, ExpressionAttributeValues: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        model, since, until = (ExpressionAttributeValues[f":{n}"]["S"] for n in ("model", "since", "until"))
        keys = sorted(key for key in self.items if key[0] == model and since <= key[1] <= until)
        return {"Items": [self.items[key] for key in keys]}

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.objects[Key])}

    def get_parameters(self, *, Names: list[str]) -> dict[str, Any]:  # noqa: N803
        return {
            "Parameters": [{"Name": n, "Value": self.parameters[n]} for n in Names if n in self.parameters]
        }

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.told += [entry["Detail"] for entry in Entries]
        return {"Entries": [{} for _ in Entries]}
