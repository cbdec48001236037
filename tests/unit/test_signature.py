"""Our signature is the one botocore makes, and the one AWS says is right."""

import datetime
import hashlib
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
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


@pytest.mark.parametrize("asked", ["GET", "PUT"])
@pytest.mark.parametrize("key", ["models/1a2b/model.onnx", "q/2026/11/24/a b+c=$~é.gz"])
def test_an_object_is_asked_for_as_botocore_asks(asked, key, monkeypatch):
    credentials = Credentials("AKIDEXAMPLE", "secret/+key", "token")
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    path = "/" + quote(key, safe="/~")
    host = "bucket.s3.eu-west-1.amazonaws.com"
    theirs = AWSRequest(asked, f"https://{host}{path}", {"host": host}, b"")
    S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(theirs)
    headers = {"host": host, "x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    theirs.headers["X-Amz-Content-SHA256"] = headers["x-amz-content-sha256"]
    ours = Signer("eu-west-1", "s3").signed(credentials, headers, b"", NOW.timestamp(), f"{asked} {path}")
    assert ours["authorization"] == theirs.headers["Authorization"]


# From AWS's Signature Version 4 test suite (aws-sig-v4-test-suite; also in botocore's own tests).
SUITE = {
    "get-vanilla": ("GET /", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "post-vanilla": ("POST /", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "get-unreserved": (
        "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        {},
        b"",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "post-x-www-form-urlencoded": (
        "POST /",
        {"content-type": "application/x-www-form-urlencoded"},
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}
SUITE_KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
SUITE_NOW = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize("name", SUITE)
def test_the_signatures_of_the_suite_of_aws_come_out(name):
    asked, headers, body, signature = SUITE[name]
    signer = Signer("us-east-1", "service")
    given = {"host": "example.amazonaws.com", **headers}
    signed = signer.signed(SUITE_KEYS, given, body, SUITE_NOW, asked)
    assert signed["authorization"].endswith(f"Signature={signature}")


# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, its first two examples.
S3_EXAMPLES = [
    (
        "GET /test.txt",
        {"range": "bytes=0-9"},
        b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT /test%24file.text",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
]
S3_KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)
S3_NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(("asked", "headers", "body", "signature"), S3_EXAMPLES)
def test_the_examples_in_the_documentation_of_s3_come_out(asked, headers, body, signature):
    sums = {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
    given = {"host": "examplebucket.s3.amazonaws.com", **sums, **headers}
    signed = Signer("us-east-1", "s3").signed(S3_KEYS, given, body, S3_NOW, asked)
    assert signed["authorization"].endswith(f"Signature={signature}")
