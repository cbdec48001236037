"""Exports of a table as DynamoDB lays them out in a bucket (developer guide, "DynamoDB table export output
format"), made from its items: the emulator answers as if it exported, and writes nothing.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from streamscore.decided.exports import PREFIX, Bucket
from streamscore.moments import rfc3339

Items = Mapping[str, Mapping[str, Any] | None]
"""Items by id; None is one that was deleted."""


def exported_value(value: Mapping[str, Any]) -> dict[str, Any]:
    """A value as an export writes it: binary as base64 text."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": base64.b64encode(content).decode()}
    if kind == "M":
        return {"M": {name: exported_value(one) for name, one in content.items()}}
    if kind == "L":
        return {"L": [exported_value(one) for one in content]}
    return {kind: content}


def write(
    bucket: Bucket,
    export_id: str,
    items: Items,
    to_ms: int,
    *,
    from_ms: int | None = None,
    files: int = 2,
    prefix_in_keys: bool = True,
) -> None:
    """Write an export, a full one if there is no `from_ms`; finished once its manifests are there."""
    root, above = f"{PREFIX}/AWSDynamoDB", f"{PREFIX}/" if prefix_in_keys else ""

    def put(key: str, body: bytes) -> None:
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=body)

    folder = f"AWSDynamoDB/{export_id}/data" if from_ms is None else "AWSDynamoDB/data"
    put(f"{root}/{export_id}/_started", b"")
    told = []
    for n in range(files):
        lines = [line(id_, item, from_ms is None) for id_, item in list(items.items())[n::files]]
        name = f"{folder}/{export_id}{n}.json.gz"
        body = gzip.compress("".join(lines).encode())
        put(f"{PREFIX}/{name}", body)
        told.append({"itemCount": len(lines), "md5Checksum": "", "etag": "", "dataFileS3Key": above + name})
    times = (
        {"exportTime": rfc3339(to_ms)}
        if from_ms is None
        else {
            "exportFromTime": rfc3339(from_ms),
            "exportToTime": rfc3339(to_ms),
            "exportType": "INCREMENTAL_EXPORT",
            "outputView": "NEW_IMAGES",
        }
    )
    summary = {"version": "2023-08-01", **times, "s3Prefix": PREFIX, "itemCount": len(items)}
    entries = "".join(json.dumps(entry) + "\n" for entry in told)
    put(f"{root}/{export_id}/manifest-files.json", entries.encode())
    put(f"{root}/{export_id}/manifest-summary.json", json.dumps(summary).encode())


def line(id_: str, item: Mapping[str, Any] | None, is_full: bool) -> str:
    """One line of a data file."""
    image = {name: exported_value(value) for name, value in (item or {}).items()}
    if is_full:
        return json.dumps({"Item": image}) + "\n"
    written: dict[str, Any] = {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"pk": {"S": id_}}}
    return json.dumps(written | ({"NewImage": image} if item is not None else {})) + "\n"


def by_id(items: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {item["pk"]["S"]: item for item in items}
