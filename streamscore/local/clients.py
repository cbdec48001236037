"""boto3 clients of the emulator."""

from typing import Any

import boto3
from botocore.config import Config

from streamscore.local.emulator import REGION


def client(service: str, endpoint: str, region: str = REGION, config: Config | None = None) -> Any:
    """A client with test credentials that speaks to `endpoint` and nothing else; `config` goes on top."""
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
