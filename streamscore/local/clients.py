"""boto3 clients of the emulator."""

import functools
from typing import Any

import boto3
from botocore.config import Config

from streamscore.local.emulator import REGION

_KEPT = 64


@functools.lru_cache(_KEPT)
def client(service: str, endpoint: str, region: str = REGION, config: Config | None = None) -> Any:
    """A client with test credentials that speaks to `endpoint` and nothing else; `config` goes on top.

    The same for the same arguments: clients serve any number of threads, and one takes 0.1 s CPU to make.
    """
    session = boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - not a secret
        region_name=region,
    )
    plain = Config(
        retries={"max_attempts": 3, "mode": "standard"},
        s3={"addressing_style": "path"},
        max_pool_connections=32,
    )
    return session.client(service, endpoint_url=endpoint, config=plain.merge(config) if config else plain)
