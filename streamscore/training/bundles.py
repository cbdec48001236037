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
    """Put a bundle where functions can load it. Doing it again changes nothing; a version is never
    overwritten.
    """
    bundle_json, model, bundle = read(folder)
    version = Version(bundle.version, bundles.sha256(bundle_json))
    stored = fetch(s3, bucket, bundle_key(bundle.version))
    if stored is None:  # bundle.json last: where it is, the model is
        s3.put_object(Bucket=bucket, Key=model_key(bundle.version), Body=model)
        s3.put_object(Bucket=bucket, Key=bundle_key(bundle.version), Body=bundle_json)
    elif bundles.sha256(stored) != version.sha256:
        raise ModelRefusedError(
            f"s3://{bucket}/{bundle_key(bundle.version)} differs from {folder}; it stays as it is"
        )
    return version


def registered(s3: Any, bucket: str) -> Iterator[tuple[Version, Bundle]]:
    """Every registered bundle that can be read, by version."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="models/", Delimiter="/"):
        for prefix in page.get("CommonPrefixes", ()):
            found = find(s3, bucket, prefix["Prefix"].split("/")[1])
            if found is not None:
                yield found


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
