"""Bundles as folders on this machine and as objects in a stack's bucket:
`models/<version>/{model.onnx,bundle.json}`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from common.errors import InvalidInputError, ModelRefusedError
from scoring import bundle as bundles
from scoring.bundle import BUNDLE_FILE, MODEL_FILE, Bundle
from scoring.model import Model
from scoring.pointers import Version, bundle_key, model_key

_FILES = frozenset({BUNDLE_FILE, MODEL_FILE})


def write(bundle: Bundle, model: bytes, folder: Path) -> None:
    """Write the bundle as `folder`, whole or not at all; another bundle there is replaced, anything else is
    refused.
    """
    if folder.exists() and not (folder.is_dir() and {p.name for p in folder.iterdir()} <= _FILES):
        raise InvalidInputError(f"{folder}: is there and is no bundle; give another --output or remove it")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        (beside / MODEL_FILE).write_bytes(model)
        (beside / BUNDLE_FILE).write_bytes(bundles.encode(bundle))
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read(folder: Path) -> tuple[bytes, bytes, Bundle]:
    """(`bundle.json`, `model.onnx`, what they say), opened and tried; ModelRefusedError if they do not hold
    together.
    """
    try:
        bundle_json, model = (folder / BUNDLE_FILE).read_bytes(), (folder / MODEL_FILE).read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{folder}: is no bundle ({error.strerror}: {error.filename})") from error
    return bundle_json, model, Model.load(bundle_json, model).bundle


def register(s3: Any, bucket: str, folder: Path) -> Version:
    """Put a bundle where functions can load it. Doing it again changes nothing but completes what was cut
    short; a version is never overwritten: ModelRefusedError if other bytes lie there.
    """
    bundle_json, model, bundle = read(folder)
    for key, data in ((model_key, model), (bundle_key, bundle_json)):  # where bundle.json is, the model is
        stored = fetch(s3, bucket, key(bundle.version))
        if stored is None:
            s3.put_object(Bucket=bucket, Key=key(bundle.version), Body=data)
        elif stored != data:
            raise ModelRefusedError(
                f"s3://{bucket}/{key(bundle.version)} differs from {folder}; it stays as it is: if it was "
                "damaged, delete it and register again"
            )
    return Version(bundle.version, bundles.sha256(bundle_json))


def registered(s3: Any, bucket: str) -> Iterator[tuple[str, Bundle | ModelRefusedError]]:
    """Every registered version with its bundle, or why that is none."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="models/", Delimiter="/"):
        for prefix in page.get("CommonPrefixes", ()):
            version = prefix["Prefix"].split("/")[1]
            try:
                found = find(s3, bucket, version)
            except ModelRefusedError as error:
                yield version, error
            else:
                if found is not None:
                    yield version, found[1]


def stored(s3: Any, bucket: str, version: str) -> tuple[bytes, bytes] | None:
    """`bundle.json` and `model.onnx` of a registered version as they lie there, or None."""
    bundle_json, model = (fetch(s3, bucket, key(version)) for key in (bundle_key, model_key))
    return None if bundle_json is None or model is None else (bundle_json, model)


def find(s3: Any, bucket: str, version: str) -> tuple[Version, Bundle] | None:
    """The registered bundle of that version, or None."""
    data = fetch(s3, bucket, bundle_key(version))
    return None if data is None else (Version(version, bundles.sha256(data)), bundles.decode(data))


def fetch(s3: Any, bucket: str, key: str) -> bytes | None:
    """An object's bytes, or None if there is none."""
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
