"""Our signature is the one botocore makes."""

import datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from common.credentials import Credentials
from common.signature import Signer

NOW = datetime.datetime(2026, 11, 24, 23, 59, 59, tzinfo=datetime.UTC)


@pytest.mark.parametrize("token", [None, "a-session/token=="])
@pytest.mark.parametrize("body", [b"", b'{"Statements":[]}', bytes(range(256)) * 400])
@pytest.mark.parametrize("host", ["dynamodb.eu-west-1.amazonaws.com", "127.0.0.1:4566"])
def test_a_request_is_signed_as_botocore_signs_it(token, body, host, monkeypatch):
    credentials = Credentials("AKIDEXAMPLE", "secret/+key", token)
    headers = {"host": host, "content-type": "application/x-amz-json-1.0", "x-amz-target": "T.Op"}
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    theirs = AWSRequest("POST", f"https://{host}/", dict(headers), body)
    SigV4Auth(credentials, "dynamodb", "eu-west-1").add_auth(theirs)
    ours = Signer("eu-west-1", "dynamodb").signed(credentials, headers, body, NOW.timestamp())
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == token
