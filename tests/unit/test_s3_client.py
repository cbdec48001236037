"""S3 as AWS speaks it: the bucket in the host's name, errors in XML and in chunks."""

import socket
import threading

import pytest

from common.errors import ServiceError
from common.s3_client import S3

KEYS = {
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_SESSION_TOKEN": "t",
    "AWS_REGION": "eu-west-1",
}
NO_SUCH_KEY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
    b"<Message>The specified key does not exist.</Message><Key>a</Key></Error>"
)


def served(answer: bytes) -> tuple[S3, list[bytes]]:
    """A client of a server that gives this answer once, and what it asked."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            asked.append(connection.recv(65_536))
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return S3(KEYS | {"AWS_ENDPOINT_URL_S3": url}), asked


def chunked(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        status,
        len(body),
        body,
    )


def test_an_absent_object_is_told_from_a_forbidden_and_a_busy_one():
    for answer, code, status in (
        (chunked(b"404 Not Found", NO_SUCH_KEY), "NoSuchKey", 404),
        (chunked(b"403 Forbidden", NO_SUCH_KEY.replace(b"NoSuchKey", b"AccessDenied")), "AccessDenied", 403),
        (chunked(b"503 Slow Down", NO_SUCH_KEY.replace(b"NoSuchKey", b"SlowDown")), "SlowDown", 503),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404", 404),
    ):
        client, _ = served(answer)
        with pytest.raises(ServiceError) as refused:
            client.get_object(Bucket="b", Key="a")
        assert (refused.value.code, refused.value.status) == (code, status)
        assert "s3://b/a" in str(refused.value)


def test_a_request_is_signed_with_its_content_and_the_sessions_token():
    client, asked = served(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.put_object(Bucket="b", Key="q/a b.gz", Body=b"content")
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /b/q/a%20b.gz HTTP/1.1\r\n")
    assert b"SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token" in head
    assert b"/eu-west-1/s3/aws4_request" in head
    assert body == b"content"


def test_on_aws_a_bucket_has_a_host_of_its_own_and_the_region_in_it():
    host, path = S3(KEYS)._place("my-bucket", "models/1/model.onnx")
    assert host.url == "https://my-bucket.s3.eu-west-1.amazonaws.com"
    assert path == "/models/1/model.onnx"
