"""What tests leave in a stack that others use after them: found, and taken away."""

from collections.abc import Iterator
from typing import Any

from streamscore.local.stack import Stack

Objects = set[tuple[str, str]]
"""Buckets and keys."""


def objects(stack: Stack) -> Objects:
    s3 = stack.client("s3")
    pages = s3.get_paginator("list_objects_v2")
    return {
        (bucket["Name"], entry["Key"])
        for bucket in s3.list_buckets()["Buckets"]
        for page in pages.paginate(Bucket=bucket["Name"])
        for entry in page.get("Contents", ())
    }


def parameters(stack: Stack) -> set[str]:
    pages = stack.client("ssm").get_paginator("describe_parameters")
    return {found["Name"] for page in pages.paginate() for found in page["Parameters"]}


def clear(stack: Stack, but_objects: Objects, but_parameters: set[str]) -> None:
    """Every item of its tables, and all objects and parameters but these."""
    s3, ssm, dynamodb = (stack.client(service) for service in ("s3", "ssm", "dynamodb"))
    for bucket, key in objects(stack) - but_objects:
        s3.delete_object(Bucket=bucket, Key=key)
    for name in parameters(stack) - but_parameters:
        ssm.delete_parameter(Name=name)
    for table in dynamodb.list_tables()["TableNames"]:
        for key in _keys(dynamodb, table):
            dynamodb.delete_item(TableName=table, Key=key)


def _keys(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    names = [part["AttributeName"] for part in schema]
    found = dynamodb.get_paginator("scan").paginate(TableName=table)
    items = [item for page in found for item in page["Items"]]
    yield from ({name: item[name] for name in names} for item in items)
