"""The data bucket without what it holds of an entity: each object is read, and written again where it must.

An object is written on condition that it is still the one that was read. Put under its key, S3 keeps the
one before for seven days (the template's lifecycle).
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from common.errors import InvalidInputError, ServiceError, TransientError
from monitor.requests import FILES, RAW
from monitor.runs import FOLDER as RETRAINED
from scoring.pointers import POLICIES
from streamscore.decided.exports import PREFIX as EXPORTS
from streamscore.erasure import objects, tables
from streamscore.erasure.found import Found
from streamscore.erasure.objects import Left, Without
from streamscore.erasure.whom import Whom
from streamscore.progress import Step
from streamscore.redrive import progress
from streamscore.redrive.strays import FAILED, QUARANTINE
from streamscore.retraining.place import CHECKED
from streamscore.room_client import RoomClient

AT_ONCE = 16
_TRIES = 3


class Entry(NamedTuple):
    """An object as the bucket lists it."""

    key: str
    etag: str
    size: int


class Bucket(AbstractContextManager["Bucket"]):
    """The data bucket of one stack. Of a dry run, nothing is written."""

    def __init__(self, s3: Any, name: str, dry_run: bool) -> None:
        self._s3, self._notes, self._name, self._dry_run = RoomClient(s3), s3, name, dry_run
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forget")
        self._scratch = tempfile.TemporaryDirectory(prefix="streamscore-")

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._scratch.cleanup()

    def listed(self) -> list[Entry]:
        """Every object that may name an entity."""
        return [entry for prefix in _READERS for entry in self._listed(prefix) if _reader(entry.key)]

    def erase(self, whom: Whom, entries: Iterable[Entry], found: Found, step: Step) -> None:
        """What these objects hold of it."""
        for told in self._threads.map(lambda entry: self._one(whom, entry), entries):
            told(found)
            found.objects += 1
            step.advance(1)

    def keep(self, key: str, content: Any) -> None:
        """JSON that a person can read too."""
        body = json.dumps(content, indent=1).encode() + b"\n"
        self._s3.put_object(Bucket=self._name, Key=key, Body=body)

    def _listed(self, prefix: str) -> Iterator[Entry]:
        more: dict[str, str] = {}
        while True:
            page = self._s3.list_objects_v2(Bucket=self._name, Prefix=prefix, **more)
            yield from (Entry(one["Key"], one["ETag"], one["Size"]) for one in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _one(self, whom: Whom, entry: Entry) -> "Told":
        reader = _reader(entry.key)
        try:
            for _ in range(_TRIES):
                told = reader(self, whom, entry) if reader else _nothing
                if told is not None:
                    return told
        except InvalidInputError as error:
            return partial(_unread, str(error))
        raise TransientError(f"{entry.key}: is written again and again; run the command again")

    def _get(self, key: str) -> tuple[Any, str] | None:
        """The object, to read from, and its ETag; None if it is gone: expired, or deleted by another run."""
        try:
            answer = self._s3.get_object(Bucket=self._name, Key=key)
        except ServiceError as error:
            if error.code in {"NoSuchKey", "404"}:
                return None
            raise
        return answer["Body"], answer["ETag"]

    @contextmanager
    def _copy(self, key: str) -> Iterator[tuple[Path, str] | None]:
        """The object as a file of the same name, in a folder of its own, and its ETag. What is wrong with the
        file is told by the object's key.
        """
        if (held := self._get(key)) is None:
            yield None
            return
        with tempfile.TemporaryDirectory(dir=self._scratch.name) as folder:
            path = Path(folder, Path(key).name)
            with path.open("wb") as file:
                shutil.copyfileobj(held[0], file)
            try:
                yield path, held[1]
            except InvalidInputError as error:
                raise InvalidInputError(str(error).replace(str(path), key)) from error

    def _write(self, key: str, body: bytes | IO[bytes] | None, etag: str) -> str | None:
        """The new ETag; None if the object is another by now."""
        try:
            if body is None:
                self._s3.delete_object(Bucket=self._name, Key=key)
                return ""
            answer = self._s3.put_object(Bucket=self._name, Key=key, Body=body, IfMatch=etag)
            return str(answer["ETag"])
        except ServiceError as error:
            if error.code in {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404"}:
                return None
            raise

    def _rewritten(self, read: Without, whom: Whom, entry: Entry) -> "Told | None":
        """An object of records, without its own."""
        if (held := self._get(entry.key)) is None:
            return _nothing
        body, etag = held
        left = objects.without(read, entry.key, body.read(), whom)
        if left.is_changed and not self._dry_run:
            new = self._write(entry.key, left.body, etag)
            if new is None:
                return None
            self._keep_progress(entry.key, left, etag, new)
        return partial(_left, _place(entry.key), left)

    def _keep_progress(self, key: str, left: Left, etag: str, new: str) -> None:
        """What redrive has done of the object is done of what is left of it."""
        if not key.startswith((QUARANTINE, FAILED)):
            return
        if left.body is None:
            self._s3.delete_object(Bucket=self._name, Key=progress.key_of(key))
            return
        noted = progress.read(self._notes, self._name, key, etag)
        if noted.through or noted.left:
            progress.write(self._notes, self._name, key, objects.progress_of(left, noted, new))

    def _table(self, whom: Whom, entry: Entry) -> "Told | None":
        """A Parquet file that was made of events, without its rows."""
        with self._copy(entry.key) as copy:
            if copy is None:
                return _nothing
            path, etag = copy
            others = path.with_name("others")
            count = tables.without_rows(path, whom, others)
            if count and not self._dry_run:
                with others.open("rb") as file:
                    if self._write(entry.key, file, etag) is None:
                        return None
        return partial(_left, _place(entry.key), Left(arrived_ms=[0] * count))

    def _raw(self, whom: Whom, entry: Entry) -> "Told":
        """A file of the user's own: what came in stays as it came."""
        with self._copy(entry.key) as copy:
            count = 0 if copy is None else tables.rows_of(copy[0], whom)
        return partial(_yours, f"{entry.key}: {count:,} rows") if count else _nothing

    def _policy(self, whom: Whom, entry: Entry) -> "Told":
        """A published policy may name it in a list; decisions point to it by its hash."""
        held = self._get(entry.key)
        text = held[0].read() if held else b""
        named = any(f"{mark}{one}{mark}".encode() in text for mark in "\"'" for one in whom.forms)
        return partial(_yours, f"{entry.key}: a list of the policy") if named else _nothing


Told = Callable[[Found], None]
"""What of an object goes into what was found."""
Reader = Callable[[Bucket, Whom, Entry], "Told | None"]


def _lines(read: Without) -> Reader:
    return lambda bucket, whom, entry: bucket._rewritten(read, whom, entry)


_READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    QUARANTINE: (("",), _lines(objects.quarantined)),
    FAILED: (("",), _lines(objects.given_up)),
    f"{EXPORTS}/": ((".json.gz",), _lines(objects.exported)),
    CHECKED: ((".parquet",), Bucket._table),
    RETRAINED: ((".parquet",), Bucket._table),
    RAW: (FILES, Bucket._raw),
    POLICIES: ((".toml",), Bucket._policy),
}
"""By folder: the endings of what is read there, and how. All other folders hold no entity's value."""


def _reader(key: str) -> Reader | None:
    return next((r for p, (ends, r) in _READERS.items() if key.startswith(p) and key.endswith(ends)), None)


def _place(key: str) -> str:
    return next(prefix for prefix in _READERS if key.startswith(prefix))


def _nothing(_: Found) -> None:
    """The object does not name it."""


def _left(place: str, left: Left, found: Found) -> None:
    found.add(place, left.arrived_ms)
    if left.masked:
        found.masked[place] += left.masked


def _yours(what: str, found: Found) -> None:
    found.yours.append(what)


def _unread(what: str, found: Found) -> None:
    found.unread.append(what)
