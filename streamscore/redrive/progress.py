"""What of an object has been brought back, noted beside it, so that a later run goes on where one ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from botocore.exceptions import ClientError

REDRIVEN = "redriven/"


@dataclass
class Progress:
    """Of an object's records, by their places in it: all before `through` are done, but for those `left`.

    `etag` is the object's: one that was written anew since is begun anew, which its entities' ids allow.
    """

    etag: str
    through: int = 0
    left: list[int] = field(default_factory=list)

    def open(self, count: int) -> Iterator[int]:
        """The places that are not done, of `count`."""
        yield from self.left
        yield from range(self.through, count)

    def done(self, places: Iterable[int]) -> None:
        """Note that these are done. Those passed over are left."""
        done = set(places)
        beyond = max(done, default=-1) + 1
        left = [*self.left, *range(self.through, beyond)]
        self.left = [place for place in left if place not in done]
        self.through = max(self.through, beyond)


def key_of(key: str) -> str:
    """Where an object's progress is noted."""
    return f"{REDRIVEN}{key}.json"


def read(s3: Any, bucket: str, key: str, etag: str) -> Progress:
    """An object's progress; none if nothing is noted of it, or of what it was before."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key_of(key))["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return Progress(etag)
        raise
    noted = msgspec.json.decode(body, type=Progress)
    return noted if noted.etag == etag else Progress(etag)


def write(s3: Any, bucket: str, key: str, progress: Progress) -> None:
    """Note it."""
    s3.put_object(Bucket=bucket, Key=key_of(key), Body=msgspec.json.encode(progress))
