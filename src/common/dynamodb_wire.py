"""DynamoDB's client: the JSON one, with binary attributes as bytes."""

import os
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import msgspec

from common.json_client import Decode, JsonClient


class _Value(TypedDict, total=False):
    S: str
    N: str
    B: bytes
    BOOL: bool
    NULL: bool
    L: "list[_Value]"
    M: "dict[str, _Value]"


class _Items(TypedDict, total=False):
    Responses: dict[str, list[dict[str, _Value]]]
    UnprocessedKeys: dict[str, Any]
    ConsumedCapacity: Any


class _Page(TypedDict, total=False):
    Items: list[dict[str, _Value]]
    LastEvaluatedKey: dict[str, _Value]
    ConsumedCapacity: Any


def _typed(kind: Any) -> Decode:
    return cast(Decode, msgspec.json.Decoder(kind).decode)


_DECODERS: dict[str, Decode] = {
    "BatchGetItem": _typed(_Items),
    "Query": _typed(_Page),
}


class Wire(JsonClient):
    """A client of DynamoDB. Binary attributes come as bytes from `batch_get_item` and `query`, the only reads
    that the rooms make.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__("dynamodb", environ, _DECODERS)
