"""SageMaker's part as local processes: what a job is given, what is kept of it, and how it fails."""

import io
import json
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamscore.local import emulator as emulators
from streamscore.local.jobs import Jobs

TRAINING = "arn:aws:states:::sagemaker:createTrainingJob.sync"
PROCESSING = "arn:aws:states:::sagemaker:createProcessingJob.sync"
ROLE = "arn:aws:iam::123456789012:role/job"


@pytest.fixture
def jobs(emulator: emulators.Emulator, client: Callable[[str], Any], tmp_path: Path) -> Jobs:
    return Jobs(client, emulator.endpoint, tmp_path / "jobs", tmp_path / "logs")


@pytest.fixture
def bucket(client: Callable[[str], Any]) -> str:
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    client("s3").create_bucket(Bucket=name)
    return name


def training(bucket: str, code: str, **changes: Any) -> dict[str, Any]:
    """A request whose container runs this Python code."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/in/",
        "S3DataDistributionType": "FullyReplicated",
    }
    arguments = {
        "TrainingJobName": "r-1-Train",
        "AlgorithmSpecification": {
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c"],
            "ContainerArguments": [code],
        },
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "RoleArn": ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {"resource": TRAINING, "arguments": arguments | changes}


def test_a_job_finds_its_channel_and_its_model_is_kept(
    jobs: Jobs, bucket: str, client: Callable[[str], Any]
) -> None:
    client("s3").put_object(Bucket=bucket, Key="in/data.txt", Body=b"seven")
    code = (
        "from pathlib import Path; "
        "Path('/opt/ml/model/m').write_text(Path('/opt/ml/input/data/training/data.txt').read_text())"
    )
    done = jobs.run(training(bucket, code))["output"]
    assert done["TrainingJobStatus"] == "Completed"
    assert done["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{bucket}/out/r-1-Train/output/model.tar.gz"}
    body = client("s3").get_object(Bucket=bucket, Key="out/r-1-Train/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert tar.extractfile("./m").read() == b"seven"


def test_a_job_that_fails_says_why_as_sagemaker_would(jobs: Jobs, bucket: str) -> None:
    code = "open('/opt/ml/output/failure', 'w').write('no rows'); raise SystemExit(1)"
    failed = jobs.run(training(bucket, code))
    assert failed["error"] == "States.TaskFailed"
    assert json.loads(failed["cause"]) == {
        "TrainingJobName": "r-1-Train",
        "TrainingJobStatus": "Failed",
        "FailureReason": "no rows",
    }


def test_a_job_that_takes_too_long_is_stopped(jobs: Jobs, bucket: str) -> None:
    stopped = jobs.run(
        training(bucket, "import time; time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    )
    assert json.loads(stopped["cause"])["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize("isolated", [True, False])
def test_only_a_job_with_a_network_knows_where_aws_is(jobs: Jobs, bucket: str, isolated: bool) -> None:
    code = "import os; raise SystemExit('AWS_ENDPOINT_URL' in os.environ)"
    done = jobs.run(training(bucket, code, EnableNetworkIsolation=isolated))
    assert ("output" in done) == isolated


def test_a_request_that_aws_would_not_take_is_refused_and_a_name_is_used_once(
    jobs: Jobs, bucket: str
) -> None:
    refused = jobs.run(training(bucket, "", ResourceConfig={"InstanceCount": "one"}))
    assert refused["error"] == "SageMaker.AmazonSageMakerException"
    assert "InstanceCount" in refused["cause"]
    assert "output" in jobs.run(training(bucket, "pass"))
    assert "there is a job r-1-Train already" in jobs.run(training(bucket, "pass"))["cause"]


def test_a_processing_job_gets_its_environment_and_tells_why_it_failed(jobs: Jobs) -> None:
    code = "import os; open('/opt/ml/output/message', 'w').write(os.environ['PLACE']); raise SystemExit(3)"
    arguments = {
        "ProcessingJobName": "r-1-CheckData",
        "AppSpecification": {
            "ImageUri": "image",
            "ContainerEntrypoint": ["python", "-c"],
            "ContainerArguments": [code],
        },
        "Environment": {"PLACE": "here"},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    failed = jobs.run({"resource": PROCESSING, "arguments": arguments})
    assert json.loads(failed["cause"])["ExitMessage"] == "here"
