"""Decisions from a table's exports to S3, as DynamoDB writes them (DYNAMODB_JSON): no read units, any size.

Layout: developer guide, "DynamoDB table export output format". Under `exports/decisions/AWSDynamoDB/` lie a
folder an export, with `manifest-summary.json` and `manifest-files.json` once it is done, and the data: a full
export's in its own folder, incremental ones' in the common `data/`. A line is {"Item": …}, or {"Keys": …,
"NewImage": …}, without NewImage where the item was deleted.
"""

import gzip
import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from common.errors import InvalidInputError
from stream_features.values import rfc3339_ms
from streamscore.decided.coverage import Export
from streamscore.decided.stored import Decided, decided_of
from streamscore.training.bundles import fetch

PREFIX = "exports/decisions"
_ROOT = f"{PREFIX}/AWSDynamoDB/"
_PER_PART, _MOST_PARTS = 50_000, 256


class Line(msgspec.Struct):
    """One line of a data file; which of the three are there says what it is."""

    Item: dict[str, Any] | None = None
    NewImage: dict[str, Any] | None = None
    Keys: dict[str, Any] | None = None


class Bucket(NamedTuple):
    """Where exports lie: an S3 client and a bucket."""

    s3: Any
    name: str


def finished(bucket: Bucket) -> list[Export]:
    """The exports whose manifests are there; one under way has none yet."""
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket.name, Prefix=_ROOT, Delimiter="/"
    )
    folders = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
    found = [_export(bucket, folder) for folder in folders if folder != f"{_ROOT}data/"]
    return [export for export in found if export is not None]


def read(bucket: Bucket, exports: Sequence[Export], since_ms: int, until_ms: int | None) -> Iterator[Decided]:
    """Each decision with since <= `scored_at` < until as the newest of the exports (given oldest first) that
    knows its id has it; none that a newer one knows as deleted.

    What several exports may tell of is sorted on disk, in parts of about 50,000 decisions.
    """
    if len(exports) == 1:
        for line in _lines(bucket, exports[0]):
            if _is_within(line, since_ms, until_ms):
                yield decided_of(_image(line))
        return
    parts = min(_MOST_PARTS, 1 + sum(export.items for export in exports) // _PER_PART)
    with tempfile.TemporaryDirectory(prefix="streamscore-") as folder:
        paths = [Path(folder) / f"{n}.jsonl" for n in range(parts)]
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("wb")) for path in paths]
            for export in exports:
                _sort_out(_lines(bucket, export), files, since_ms, until_ms)
        for path in paths:
            yield from _newest(path)


def _sort_out(lines: Iterable[Line], files: Sequence[IO[bytes]], since_ms: int, until_ms: int | None) -> None:
    """Into each id's part: its image, or no more than that it is none of those asked for (any more)."""
    for line in lines:
        image = _image(line)
        pk = (line.Keys or image)["pk"]
        told = image if _is_within(line, since_ms, until_ms) else {"pk": pk}
        files[zlib.crc32(pk["S"].encode()) % len(files)].write(_encode(told) + b"\n")


def _newest(path: Path) -> Iterator[Decided]:
    newest: dict[str, bytes] = {}
    with path.open("rb") as file:
        for text in file:
            newest[_key(text).pk["S"]] = text
    for text in newest.values():
        item = _decode(text)
        if "scored_at" in item:
            yield decided_of(item)


class _Keyed(msgspec.Struct):
    pk: dict[str, str]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_key = msgspec.json.Decoder(_Keyed).decode
_line = msgspec.json.Decoder(Line).decode


def _image(line: Line) -> dict[str, Any]:
    return line.Item or line.NewImage or {}


def _is_within(line: Line, since_ms: int, until_ms: int | None) -> bool:
    image = _image(line)
    if "scored_at" not in image:
        return False
    at_ms = int(image["scored_at"]["N"])
    return since_ms <= at_ms and (until_ms is None or at_ms < until_ms)


def _lines(bucket: Bucket, export: Export) -> Iterator[Line]:
    """Every line of an export; InvalidInputError if a file is not what the manifest says."""
    for entry in _need(bucket, export, export.key).splitlines():
        told = json.loads(entry)
        key = _within_prefix(told["dataFileS3Key"])
        count = 0
        for line in _file(bucket, export, key):
            count += 1
            yield line
        if count != told["itemCount"]:
            raise InvalidInputError(
                f"export {export.id}: {key} holds {count} items, its manifest says {told['itemCount']}; "
                "delete that export's folder, and it is made again"
            )


def _file(bucket: Bucket, export: Export, key: str) -> Iterator[Line]:
    try:
        body = bucket.s3.get_object(Bucket=bucket.name, Key=key)["Body"]
        with gzip.GzipFile(fileobj=body) as lines:
            yield from map(_line, lines)
    except bucket.s3.exceptions.NoSuchKey as error:
        raise _gone(export, key) from error
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"export {export.id}: {key} is not readable: {error}") from error


def _export(bucket: Bucket, folder: str) -> Export | None:
    data = fetch(bucket.s3, bucket.name, f"{folder}manifest-summary.json")
    if data is None:
        return None
    told = json.loads(data)
    from_ms = rfc3339_ms(told["exportFromTime"], "exportFromTime") if "exportFromTime" in told else None
    to_name = "exportTime" if from_ms is None else "exportToTime"
    name = folder.removeprefix(_ROOT).strip("/")
    return Export(
        name, from_ms, rfc3339_ms(told[to_name], to_name), told["itemCount"], f"{folder}manifest-files.json"
    )


def _need(bucket: Bucket, export: Export, key: str) -> bytes:
    data = fetch(bucket.s3, bucket.name, key)
    if data is None:
        raise _gone(export, key)
    return data


def _gone(export: Export, key: str) -> InvalidInputError:
    return InvalidInputError(
        f"export {export.id}: {key} is not there; delete that export's folder, and it is made again"
    )


def _within_prefix(key: str) -> str:
    """AWS's own examples write keys without the prefix that the request gave."""
    return key if key.startswith(f"{PREFIX}/") else f"{PREFIX}/{key}"
