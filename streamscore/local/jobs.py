"""SageMaker's part in the local state machine: a training or processing job is a process on this machine.

The request is the one AWS gets, held against AWS's own description of it. The job's image is this checkout
and its Python; `/opt/ml` is a folder of the job's own. As there, channels are laid into `input/data`, what is
left in `model` becomes `model.tar.gz`, `output/failure` says why it failed, a job that takes too long is
stopped, and one without network gets no address and no credentials (here nothing stops it from making some).
"""

import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.session import Session
from botocore.validate import ParamValidator

from common.errors import StreamscoreError
from streamscore.local import processes
from streamscore.local.emulator import CREDENTIALS

Clients = Callable[[str], Any]
TRAINING, PROCESSING = "Training", "Processing"
ML = "/opt/ml"
ROLE = "TrainingJobRole"
_PROJECT = Path(__file__).resolve().parents[2]
_FAILED = "States.TaskFailed"


class JobRefusedError(StreamscoreError):
    """SageMaker would not take the request."""


class Jobs:
    """Runs jobs, each in a folder of its own under `folder`, their output in `log_dir`."""

    def __init__(self, clients: Clients, endpoint: str, folder: Path, log_dir: Path) -> None:
        self._clients, self._endpoint, self._folder, self._log_dir = clients, endpoint, folder, log_dir
        self._running: set[subprocess.Popen[bytes]] = set()
        self._turn = threading.Lock()

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do a task of `arn:aws:states:::sagemaker:create…Job.sync`: {"output"}, or {"error", "cause"}."""
        kind = TRAINING if "createTrainingJob" in request["resource"] else PROCESSING
        asked: Mapping[str, Any] = request["arguments"]
        try:
            name, folder = self._accept(kind, asked)
        except JobRefusedError as error:
            return {"error": "SageMaker.AmazonSageMakerException", "cause": str(error)}
        reason, status = self._do(kind, asked, name, folder)
        described: dict[str, Any] = {f"{kind}JobName": name, f"{kind}JobStatus": status}
        if status != "Completed":
            told = "FailureReason" if kind == TRAINING or not reason else "ExitMessage"
            return {"error": _FAILED, "cause": json.dumps(described | {told: reason})}
        if kind == TRAINING:
            described["ModelArtifacts"] = {"S3ModelArtifacts": self._keep_model(asked, name, folder)}
        return {"output": described}

    def close(self) -> None:
        """End every job that runs."""
        with self._turn:
            for process in self._running:
                processes.kill(process)

    def _accept(self, kind: str, asked: Mapping[str, Any]) -> tuple[str, Path]:
        shape = self._model.operation_model(f"Create{kind}Job").input_shape
        report = ParamValidator().validate(dict(asked), shape)
        if report.has_errors():
            raise JobRefusedError(report.generate_report())
        name = str(asked[f"{kind}JobName"])
        folder = self._folder / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise JobRefusedError(f"there is a job {name} already") from error
        return name, folder

    @cached_property
    def _model(self) -> Any:
        return Session().get_service_model("sagemaker")

    def _do(self, kind: str, asked: Mapping[str, Any], name: str, folder: Path) -> tuple[str, str]:
        """(why it failed, its status)."""
        for part in ("input/data", "output", "model"):
            (folder / part).mkdir(parents=True)
        for channel in asked.get("InputDataConfig", ()):
            self._lay(channel, folder / "input/data" / channel["ChannelName"])
        image = asked["AlgorithmSpecification" if kind == TRAINING else "AppSpecification"]
        command = [*image["ContainerEntrypoint"], *image["ContainerArguments"]]
        command = [sys.executable if part == "python" else part.replace(ML, str(folder)) for part in command]
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / f"{name}.log").open("wb") as output:
            process = processes.spawn(
                command, cwd=_PROJECT, env=self._environment(asked, folder), output=output
            )
        with self._turn:
            self._running.add(process)
        try:
            code = process.wait(asked["StoppingCondition"]["MaxRuntimeInSeconds"])
        except subprocess.TimeoutExpired:
            processes.kill(process)
            process.wait()
            return "it took longer than MaxRuntimeInSeconds", "Stopped"
        finally:
            with self._turn:
                self._running.discard(process)
        told = folder / "output" / ("failure" if kind == TRAINING else "message")
        reason = told.read_text(encoding="utf-8")[:1024] if told.exists() else f"exit code {code}"
        return ("", "Completed") if code == 0 else (reason, "Failed")

    def _environment(self, asked: Mapping[str, Any], folder: Path) -> dict[str, str]:
        isolated = asked.get("EnableNetworkIsolation", False)
        signed = CREDENTIALS | {"AWS_ACCESS_KEY_ID": ROLE}  # the emulator's trail tells jobs apart by it
        network = {} if isolated else {**signed, "AWS_ENDPOINT_URL": self._endpoint}
        own = asked.get("Environment", {})
        return {"PATH": os.environ.get("PATH", ""), "STREAMSCORE_ML": str(folder), **network, **own}

    def _lay(self, channel: Mapping[str, Any], folder: Path) -> None:
        """Copy what lies under the channel's prefix."""
        folder.mkdir()
        place = urlsplit(channel["DataSource"]["S3DataSource"]["S3Uri"])
        bucket, prefix = place.netloc, place.path.lstrip("/")
        s3 = self._clients("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                s3.download_file(bucket, found["Key"], str(folder / Path(found["Key"]).name))

    def _keep_model(self, asked: Mapping[str, Any], name: str, folder: Path) -> str:
        archive = folder / "output/model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder / "model", ".")
        uri = f"{asked['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        place = urlsplit(uri)
        self._clients("s3").upload_file(str(archive), place.netloc, place.path.lstrip("/"))
        return uri
