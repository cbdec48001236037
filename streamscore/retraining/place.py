"""Where a job finds its stack: names the state machine gave it, and the folder of its run in the bucket."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from common.errors import InvalidInputError
from monitor.requests import RAW
from monitor.runs import object_key
from streamscore.training import bundles

VARIABLE = "STREAMSCORE_PLACE"
CHECKED = "checked-data/"
"""Cleaned files and the reports on them: what `raw-data/X` is, lies checked under `checked-data/X/`."""


@dataclass(frozen=True)
class Place:
    """A stack by its outputs' names, with the clients of whoever runs here."""

    outputs: dict[str, str]
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client; the environment says where and as whom."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service)
        return self._clients[service]

    @property
    def bucket(self) -> str:
        """The data bucket."""
        return self.outputs["DataBucketName"]


def place_of(environ: Mapping[str, str] = os.environ) -> Place:
    """The stack that the environment names: `Name=value,…`; InvalidInputError if it names none."""
    named = dict(pair.partition("=")[::2] for pair in environ.get(VARIABLE, "").split(",") if pair)
    if "DataBucketName" not in named:
        raise InvalidInputError(f"environment: {VARIABLE} names no stack; the state machine sets it")
    return Place(named)


@dataclass(frozen=True)
class Run:
    """A run's folder, `retrain/<run>/` in the bucket, and a scratch folder here."""

    place: Place
    name: str
    scratch: Path

    def key(self, name: str) -> str:
        """Of an object in its folder."""
        return object_key(self.name, name)

    def read(self, name: str) -> Any:
        """JSON that an earlier step left; InvalidInputError if it left none."""
        data = bundles.fetch(self.place.client("s3"), self.place.bucket, self.key(name))
        if data is None:
            raise InvalidInputError(f"s3://{self.place.bucket}/{self.key(name)}: an earlier step left none")
        return json.loads(data)

    def write(self, name: str, content: Any) -> None:
        """Leave JSON for the steps after, and for people."""
        put_json(self.place, self.key(name), content)

    def download(self, key: str, name: str) -> Path:
        """An object as a file in the scratch folder."""
        path = self.scratch / name
        self.place.client("s3").download_file(self.place.bucket, key, str(path))
        return path

    def upload(self, path: Path, key: str) -> None:
        """A file as an object."""
        self.place.client("s3").upload_file(str(path), self.place.bucket, key)


def put_json(place: Place, key: str, content: Any) -> None:
    """An object that a person can read too."""
    body = json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"
    place.client("s3").put_object(Bucket=place.bucket, Key=key, Body=body)


def checked_key(raw: str, name: str) -> str:
    """Where what was made of a raw file lies.

    >>> checked_key("raw-data/may/one.csv", "report.json")
    'checked-data/may/one.csv/report.json'
    """
    return f"{CHECKED}{raw.partition('/')[2]}/{name}"


def raw_key(checked: str) -> str:
    """The raw file's own key.

    >>> raw_key("checked-data/may/one.csv/report.json")
    'raw-data/may/one.csv'
    """
    return RAW + checked.removeprefix(CHECKED).rpartition("/")[0]


def checked_keys(place: Place, name: str) -> list[str]:
    """What checks left of all files under that name, the newest first."""
    pages = place.client("s3").get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=CHECKED)
    found = [entry for page in pages for entry in page.get("Contents", ())]
    newest_first = sorted(found, key=lambda entry: (entry["LastModified"], entry["Key"]), reverse=True)
    return [entry["Key"] for entry in newest_first if entry["Key"].endswith(f"/{name}")]
