"""The objects of the data bucket that hold stray records, and the notes beside them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any, NamedTuple

from common.errors import InvalidInputError
from streamscore.redrive import progress, strays
from streamscore.redrive.progress import Progress
from streamscore.redrive.strays import Batch, Found

AT_ONCE = 16
OBJECTS_AT_ONCE = 64
"""So many are open: a broken producer leaves one a batch, and each takes three calls of S3."""


class Entry(NamedTuple):
    """An object as the bucket lists it."""

    at: datetime
    key: str
    etag: str


@dataclass
class Opened:
    """An object that was read, and what of it is done."""

    key: str
    found: Found
    progress: Progress

    @property
    def kind(self) -> str:
        """How its records come to lie here."""
        how = "quarantined" if self.key.startswith(strays.QUARANTINE) else "given up"
        return f"{how} by {self.found.room if isinstance(self.found, Batch) else 'stream_features'}"


class Shelf(AbstractContextManager["Shelf"]):
    """The objects of one bucket; `rooms` are our functions' rooms by their names."""

    def __init__(self, s3: Any, bucket: str, rooms: Mapping[str, str]) -> None:
        self._s3, self._bucket, self._rooms = s3, bucket, rooms
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shelf")

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def listed(self, since_ms: int) -> list[Entry]:
        """Those that were written since then, the oldest first."""
        since, pages = datetime.fromtimestamp(since_ms / 1000, UTC), self._s3.get_paginator("list_objects_v2")
        found = (
            Entry(one["LastModified"], one["Key"], one["ETag"])
            for prefix in (strays.QUARANTINE, strays.FAILED)
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix)
            for one in page.get("Contents", ())
        )
        return sorted(entry for entry in found if entry.at >= since)

    def opened(
        self, entries: Iterable[Entry], unreadable: Callable[[str, InvalidInputError], None]
    ) -> Iterator[list[Opened]]:
        """The objects of these entries, some at a time; `unreadable` hears of those that cannot be read."""
        for some in batched(entries, OBJECTS_AT_ONCE, strict=False):
            objects = []
            for entry, one in zip(some, self._threads.map(self._open, some), strict=True):
                if isinstance(one, Opened):
                    objects.append(one)
                else:
                    unreadable(entry.key, one)
            yield objects

    def note(self, objects: Iterable[Opened]) -> None:
        """Write down how far they are."""
        list(self._threads.map(self._note, objects))

    def _open(self, entry: Entry) -> Opened | InvalidInputError:
        body = self._s3.get_object(Bucket=self._bucket, Key=entry.key)["Body"].read()
        try:
            found = strays.read(entry.key, body, self._rooms)
        except InvalidInputError as error:
            return error
        return Opened(entry.key, found, progress.read(self._s3, self._bucket, entry.key, entry.etag))

    def _note(self, one: Opened) -> None:
        progress.write(self._s3, self._bucket, one.key, one.progress)
