"""What reaches the X-Ray daemon, and that nothing goes wrong when nothing does."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from common import telemetry, tracing
from common.errors import InvalidInputError, TransientError
from tests.xray_daemon import Daemon, listening

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with listening() as taker:
        yield taker


def lambda_says(daemon: Daemon, header: str = SAMPLED) -> dict[str, str]:
    return {"_X_AMZN_TRACE_ID": header, "AWS_XRAY_DAEMON_ADDRESS": daemon.address}


def test_steps_are_sent_as_they_end_inside_the_invocation(daemon: Daemon) -> None:
    with tracing.invocation("stream_features", lambda_says(daemon)):
        tracing.annotate(batch_size=500, model_version="ab12")
        with tracing.step("read", items=3) as reading:
            with tracing.aws_call("DynamoDB", "BatchGetItem", table_name="state"):
                pass
            (call,) = daemon.received()
            reading.annotate(attempt=2, share=0.5, again=True)
        (read,) = daemon.received()
    (whole,) = daemon.received()
    assert {document["trace_id"] for document in (call, read, whole)} == {ROOT}
    assert (call["parent_id"], read["parent_id"], whole["parent_id"]) == (read["id"], whole["id"], PARENT)
    assert [document["name"] for document in (call, read, whole)] == ["DynamoDB", "read", "stream_features"]
    assert (call["namespace"], call["aws"]["operation"]) == ("aws", "BatchGetItem")
    assert read["annotations"] == {"items": 3, "attempt": 2, "share": 0.5, "again": True}
    assert whole["annotations"] == {"batch_size": 500, "model_version": "ab12"}
    assert whole["start_time"] <= read["start_time"] <= call["start_time"] <= call["end_time"]
    assert call["end_time"] <= read["end_time"] <= whole["end_time"]
    assert len({document["id"] for document in (call, read, whole)}) == 3


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        SAMPLED.replace("Sampled=1", "Sampled=0"),
        f"Root={ROOT};Parent={PARENT}",
        f"Root={ROOT};Sampled=1",
        "Root=nonsense;Parent=53995c3f42cd8ad8;Sampled=1",
    ],
)
def test_nothing_is_sent_when_the_invocation_is_not_sampled(daemon: Daemon, header: str | None) -> None:
    environ = {} if header is None else {"_X_AMZN_TRACE_ID": header}
    with tracing.invocation("f", {**environ, "AWS_XRAY_DAEMON_ADDRESS": daemon.address}) as whole:
        with tracing.step("read") as reading, tracing.aws_call("DynamoDB", "BatchGetItem"):
            reading.flag(fault=True)
        tracing.producers(["a" * 32])
        tracing.annotate(batch_size=1)
    assert daemon.received() == []
    assert reading is whole  # one object for all of them: nothing is made


def test_each_invocation_has_the_trace_that_its_own_header_says(daemon: Daemon) -> None:
    other = SAMPLED.replace("5759e988", "5759e999")
    for header in (SAMPLED, SAMPLED.replace("Sampled=1", "Sampled=0"), other):
        with tracing.invocation("f", lambda_says(daemon, header)), tracing.step("read"):
            pass
        with tracing.step("outside"):  # no invocation is under way
            pass
    assert [document["trace_id"][2:10] for document in daemon.received()] == ["5759e988"] * 2 + [
        "5759e999"
    ] * 2


@pytest.mark.parametrize(
    ("error", "flag"),
    [
        (TransientError("throttled"), "throttle"),
        (InvalidInputError("bad"), "error"),
        (ZeroDivisionError(), "fault"),
    ],
)
def test_a_step_that_raises_says_what_kind_and_no_more(daemon: Daemon, error: Exception, flag: str) -> None:
    with pytest.raises(type(error)), tracing.invocation("f", lambda_says(daemon)), tracing.step("write"):
        raise error
    write, whole = daemon.received()
    for document in (write, whole):
        assert [name for name in ("error", "throttle", "fault") if name in document] == [flag]
        (cause,) = document["cause"]["exceptions"]
        assert (cause["type"], "message" in cause) == (type(error).__name__, False)


def test_flags_stand_as_they_were_set(daemon: Daemon) -> None:
    with tracing.invocation("f", lambda_says(daemon)) as whole:
        whole.flag(throttle=True)
        whole.flag(throttle=False, error=True)
    (document,) = daemon.received()
    assert (document["throttle"], document["error"], "fault" in document) == (True, True, False)


def test_an_invocation_is_found_by_the_traces_of_its_producers(daemon: Daemon) -> None:
    ids = [f"5759e988{n:024x}" for n in range(100)]
    with tracing.invocation("f", lambda_says(daemon)), tracing.step("decode"):
        tracing.producers(ids)
    whole = daemon.received()[-1]
    indexed = [value for name, value in whole["annotations"].items() if name.startswith("producers")]
    assert list(whole["annotations"]) == ["producers", "producers_2", "producers_3", "producers_4"]
    assert " ".join(indexed).split() == [f"1-{one[:8]}-{one[8:]}" for one in ids]
    assert whole["metadata"]["streamscore"]["producers"] == [f"1-{one[:8]}-{one[8:]}" for one in ids]


def test_a_document_never_passes_64_kb(daemon: Daemon) -> None:
    with tracing.invocation("f", lambda_says(daemon)):
        tracing.producers([f"5759e988{n:024x}" for n in range(2_000)])  # 78 KB of metadata
    (document,) = daemon.received()
    assert "metadata" not in document
    assert len(document["annotations"]) == tracing.ANNOTATIONS_OF_IDS
    with tracing.invocation("f", lambda_says(daemon)):
        tracing.annotate(**{f"a{n}": "x" * 5_000 for n in range(70)})  # 70 KB of annotations: nothing to save
    assert daemon.received() == []


def test_what_x_ray_cannot_index_is_left_out_or_shortened(daemon: Daemon) -> None:
    with tracing.invocation("f", lambda_says(daemon)):
        tracing.annotate(absent=None, nan=float("nan"), endless=float("inf"), long="x" * 2_000, kept=0)
    (document,) = daemon.received()
    assert document["annotations"] == {"long": "x" * 1_000, "kept": 0}


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:9", "nonsense", "tcp:127.0.0.1:2000", "a" * 64 + ".invalid:2000", "127.0.0.1:99999"],
)
def test_a_daemon_that_is_not_there_costs_the_trace_and_nothing_else(address: str) -> None:
    environ = {"_X_AMZN_TRACE_ID": SAMPLED, "AWS_XRAY_DAEMON_ADDRESS": address}
    for _ in range(3):
        with tracing.invocation("f", environ), tracing.step("read"):
            pass


def test_a_full_send_buffer_is_not_waited_for(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    tracing._daemon.cache_clear()
    with tracing.invocation("f", lambda_says(daemon)):
        where = tracing._daemon(daemon.address)
        assert where is not None
        assert where[0].getblocking() is False


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:2000", ("127.0.0.1", 2000)),
        ("xray-daemon:3000", ("xray-daemon", 3000)),
        ("tcp:127.0.0.1:2000 udp:127.0.0.2:2001", ("127.0.0.2", 2001)),
        ("udp:127.0.0.2:2001 tcp:127.0.0.1:2000", ("127.0.0.2", 2001)),
        ("udp:daemon:2001", ("daemon", 2001)),
        ("[::1]:2000", ("::1", 2000)),
        ("udp:[fd00::1]:2000 tcp:[fd00::1]:2001", ("fd00::1", 2000)),
        ("udp:2000", ("udp", 2000)),
        ("", None),
        ("127.0.0.1", None),
        ("tcp:127.0.0.1:2000", None),
        ("127.0.0.1:port", None),
    ],
)
def test_every_form_of_the_daemons_address(text: str, address: tuple[str, int] | None) -> None:
    assert tracing.daemon_address(text) == address


def test_ipv6_daemons_are_reached() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taker:
        taker.bind(("::1", 0))
        taker.settimeout(5)
        environ = {
            "_X_AMZN_TRACE_ID": SAMPLED,
            "AWS_XRAY_DAEMON_ADDRESS": f"[::1]:{taker.getsockname()[1]}",
        }
        with tracing.invocation("f", environ):
            pass
        assert b'"name":"f"' in taker.recv(65_535)


def test_an_observed_handler_is_a_subsegment_of_its_service(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**lambda_says(daemon), "POWERTOOLS_SERVICE_NAME": "scoring"}.items():
        monkeypatch.setenv(name, value)
    mine = "5759e988" + "c" * 24

    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.follow([f"00-{mine}-53995c3f42cd8ad8-01", None])
        if event:
            raise ZeroDivisionError

    handler({}, SimpleNamespace(memory_limit_in_mb="128"))
    with pytest.raises(ZeroDivisionError):
        handler({"bad": 1}, SimpleNamespace(memory_limit_in_mb="128"))
    good, bad = daemon.received()
    assert (good["name"], good["annotations"]) == ("scoring", {"producers": f"1-5759e988-{'c' * 24}"})
    assert ("fault" in good, bad["fault"]) == (False, True)
    assert f'"traces":"{mine}"' in capsys.readouterr().out.replace(": ", ":")


def test_tracing_imports_nothing_that_a_cold_start_would_feel() -> None:
    code = "import sys, common.tracing; sys.exit(any(m in sys.modules for m in sys.argv[1:]))"
    heavy = ["aws_xray_sdk", "aws_lambda_powertools", "botocore", "msgspec", "numpy"]
    assert subprocess.run([sys.executable, "-c", code, *heavy], check=False).returncode == 0
