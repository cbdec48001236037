"""From process start to the first decision, side by side with how such functions are usually written.

    make build && python benchmarks/cold_start.py [--rounds 10]

Each start is a fresh process of a bare interpreter (`-I -S`) with only what Lambda would have on its path:
the peers their wheels (.tools/bench), ours the built layers and code, all with .pyc. Each reads the pointer
from SSM, the model from S3 and the customer's state from DynamoDB, all of the emulator on this machine, and
answers one HTTP event. Ours also folds the event into the state, asks the policy and stores the decision. The
second row of ours is the stream's function, given a batch of five rows that was delivered before: it tries to
insert the decisions and reads the ones that stand. CPU is user and system time of the process; rounds are
interleaved. Compare figures of one run only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from side_by_side import BENCH_PYTHON, ROOT, machine, table

from stream_features.spec import Spec, parse
from streamscore.local import stack as stacks
from streamscore.local.sam_template import environments
from streamscore.training import bundles, pointers

PEERS = ROOT / "benchmarks/peers"
BUILD = ROOT / ".aws-sam/build"
SITE = ROOT / ".tools/bench/lib/python3.13/site-packages"
BATCH = ROOT / "events/scoring-state-stream.json"
CUSTOMER = "17"  # of events/features-plain.json and events/api-predict.json


@dataclass(frozen=True)
class Start:
    """A function to start: its handler, its event, what is on its path, its environment."""

    name: str
    handler: str
    event: Path
    path: Sequence[Path]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Took:
    """One start: CPU and wall milliseconds, and the CPU up to the end of the import."""

    cpu_ms: float
    import_ms: float
    wall_ms: float


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--rounds", type=int, default=10)
    rounds = asked.parse_args().rounds
    if not (BUILD / "ScoringApiFunction").exists() or not BENCH_PYTHON.exists():
        sys.exit("cold_start: run `make build` and `scripts/bootstrap.sh bench` first")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as stack:
        prepare(stack, Path(folder))
        starts = of_peers(stack, Path(folder)) + ours(stack, Path(folder))
        report({start.name: took for start, took in interleaved(starts, rounds, Path(folder))}, rounds)


@contextmanager
def running(folder: Path) -> Iterator[stacks.Stack]:
    stack = stacks.up(folder, port=0, detached=False)
    try:
        yield stack
    finally:
        stacks.down(folder)


def prepare(stack: stacks.Stack, folder: Path) -> None:
    """A trained model for all, promoted for ours; states of the sample's customers."""
    events, features = folder / "events.parquet", folder / "features.parquet"
    sizes = ("--days", "60", "--customers", "200", "--terminals", "400")
    command("generate", "-o", events, *sizes)
    command("backfill", events, "-o", features)
    command("train", features, "-o", folder / "bundle")
    spec = shipped()
    columns = ",".join(spec.feature_names)
    label = spec.event.label or ""
    run = [BENCH_PYTHON, PEERS / "cold_model.py", features, label, columns, folder / "model.pickle"]
    subprocess.run(run, check=True)
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    version = bundles.register(s3, bucket, folder / "bundle")
    pointers.point(stack.client("ssm"), stack.outputs["PointerPrefix"], version, "bench")
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["StreamFeaturesFunctionName"],
        Payload=(ROOT / "events/features-plain.json").read_bytes(),
    )
    assert "FunctionError" not in answer
    for name in ("model.pickle", "model.onnx"):
        where = folder / name if name.endswith("pickle") else folder / "bundle" / name
        s3.put_object(Bucket=bucket, Key=f"peers/{name}", Body=where.read_bytes())


def command(*words: object) -> None:
    run = [ROOT / ".venv/bin/streamscore", *map(str, words)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shipped() -> Spec:
    return parse((ROOT / "src/features.toml").read_text())


def of_peers(stack: stacks.Stack, folder: Path) -> list[Start]:
    dynamodb, width = stack.client("dynamodb"), len(shipped().feature_names)
    dynamodb.create_table(
        TableName="peers",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"pk": {"S": CUSTOMER}, **{f"f{n}": {"N": "1.5"} for n in range(width)}}
    dynamodb.put_item(TableName="peers", Item=item)
    stack.client("ssm").put_parameter(Name="/peers/model", Value="peers/model", Type="String")
    environment = reach(stack) | {
        "PEER_TABLE": "peers",
        "PEER_POINTER": "/peers/model",
        "PEER_BUCKET": stack.outputs["DataBucketName"],
        "POWERTOOLS_SERVICE_NAME": "peer",
        "POWERTOOLS_METRICS_NAMESPACE": "peer",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    event = folder / "predict.json"
    return [
        Start(name, f"{module}.handler", event, (PEERS, SITE), environment)
        for name, module in (("naive", "cold_naive"), ("usual", "cold_usual"))
    ]


def ours(stack: stacks.Stack, folder: Path) -> list[Start]:
    variables = environments(stack.outputs, stack.client("lambda"), reach(stack))
    made = []
    for name, function, handler, event in (
        ("ours, HTTP API", "ScoringApiFunction", "scoring.api.handler", folder / "predict.json"),
        (
            "ours, stream",
            "ScoringFunction",
            "scoring.handler.handler",
            BATCH,
        ),
    ):
        layers = [BUILD / layer / "python" for layer in ("RuntimeLayer", "OnnxLayer")]
        path = [BUILD / function, *layers]
        # What Lambda sets, and the handlers read.
        lambdas = {"_HANDLER": handler, "LAMBDA_TASK_ROOT": str(BUILD / function)}
        made.append(Start(name, handler, event, path, variables[function] | lambdas))
    return made


def reach(stack: stacks.Stack) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def interleaved(starts: Sequence[Start], rounds: int, folder: Path) -> Iterator[tuple[Start, list[Took]]]:
    """A start of each a round, in turn; the first fills caches and the peers' .pyc, and is not counted."""
    took: dict[str, list[Took]] = {start.name: [] for start in starts}
    for number in range(rounds + 1):
        turn = number % len(starts)
        for start in (*starts[turn:], *starts[:turn]):
            write_event(folder / "predict.json", f"cold-{number}-{turn}-{start.name}")
            once = one(start)
            if number:
                took[start.name].append(once)
    return ((start, took[start.name]) for start in starts)


def write_event(path: Path, id_: str) -> None:
    """An event that was not decided yet."""
    event = json.loads((ROOT / "events/api-predict.json").read_text())
    event["body"] = json.dumps(json.loads(event["body"]) | {"transaction_id": id_})
    path.write_text(json.dumps(event))


def one(start: Start) -> Took:
    script = [sys.executable, "-I", "-S", PEERS / "cold_start.py", start.handler, start.event, *start.path]
    started = time.perf_counter()
    with subprocess.Popen([str(s) for s in script], env=start.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_ms = (time.perf_counter() - started) * 1000
    assert process.returncode == 0, said.decode()
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    decided(start, told["answer"])
    return Took((usage.ru_utime + usage.ru_stime) * 1000, told["imported_s"] * 1000, wall_ms)


def decided(start: Start, answer: Any) -> None:
    """Whether it did its work, by a model."""
    if "batchItemFailures" in answer:
        assert answer == {"batchItemFailures": []}, (start.name, answer)
    else:
        assert answer["statusCode"] == 200, (start.name, answer)
        assert json.loads(answer["body"])["score"] is not None, (start.name, answer)


def report(took: Mapping[str, Sequence[Took]], rounds: int) -> None:
    cpu = {name: median(t.cpu_ms for t in some) for name, some in took.items()}
    rows = [
        [
            name,
            f"{cpu[name]:.0f}",
            f"{median(t.import_ms for t in some):.0f}",
            f"{min(t.cpu_ms for t in some):.0f} to {max(t.cpu_ms for t in some):.0f}",
            f"{median(t.wall_ms for t in some):.0f}",
            f"{cpu[name] / cpu['naive']:.2f}",
            f"{cpu[name] / cpu['usual']:.2f}",
        ]
        for name, some in took.items()
    ]
    head = ("function", "CPU ms, median", "of it to the import's end", "least to most", "wall ms")
    print(f"Cold start, {rounds} fresh processes each; {machine()}\n")
    print(table((*head, "of naive", "of usual"), rows))


if __name__ == "__main__":
    main()
