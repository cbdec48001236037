"""The body of an HTTP request, whole or in chunks."""

from email.message import Message
from typing import BinaryIO


def body_of(headers: Message, stream: BinaryIO) -> bytes:
    """The body that follows `headers` in `stream`; ValueError if its length or a chunk's is no number."""
    if "chunked" not in headers.get("Transfer-Encoding", ""):
        length = int(headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError("a length below zero")
        return stream.read(length)
    chunks = []
    while size := int(stream.readline().split(b";")[0], 16):
        chunks.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(chunks)
