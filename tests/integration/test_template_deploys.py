"""The real template, through the overlay, in the emulator's CloudFormation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamscore.local.deploy import create
from streamscore.local.overlay import localised
from streamscore.local.template import read_template

ROOT = Path(__file__).resolve().parents[2]
PROXY = "http://127.0.0.1:9/"


def deployed(client: Callable[[str], Any], name: str, **parameters: str) -> dict[str, str]:
    """The outputs of the template's stack under this name."""
    return create(client, name, localised(read_template(ROOT / "template.yaml"), PROXY), parameters)


def test_the_template_deploys_with_every_output_but_the_http_url(client: Callable[[str], Any]) -> None:
    outputs = deployed(client, "template-test")
    declared = set(read_template(ROOT / "template.yaml")["Outputs"])
    assert set(outputs) == declared - {"HttpApiUrl", "TrainingImageBuildName"}
    assert all(outputs.values())


def test_a_stream_that_is_there_already_is_used_and_none_is_made(client: Callable[[str], Any]) -> None:
    kinesis, mine = client("kinesis"), "template-test-mine"
    kinesis.create_stream(StreamName=mine, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=mine)["StreamDescriptionSummary"]["StreamARN"]
    outputs = deployed(client, "template-test-existing", ExistingStreamArn=arn)
    assert (outputs["EventsStreamName"], outputs["EventsStreamArn"]) == (mine, arn)
    function = outputs["StreamFeaturesFunctionName"]
    mappings = client("lambda").list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    assert [mapping["EventSourceArn"] for mapping in mappings] == [arn]
    made = [
        name for name in kinesis.list_streams()["StreamNames"] if name.startswith("template-test-existing")
    ]
    assert made == []


def test_tokens_of_an_issuer_that_are_meant_for_anybody_are_refused(client: Callable[[str], Any]) -> None:
    issuer = {"ApiTokenIssuer": "https://login.example/"}
    with pytest.raises(ClientError, match="name the audience"):
        deployed(client, "template-test-tokens", **issuer)
    deployed(client, "template-test-tokens", **issuer, ApiTokenAudience="scoring,cases")


def test_the_emulators_own_poller_sees_no_enabled_mapping() -> None:
    local = localised(read_template(ROOT / "template.yaml"), PROXY)
    for function in local["Resources"].values():
        for event in function["Properties"].get("Events", {}).values():
            assert event["Properties"]["Enabled"] is False, "a string or a parameter would count as true"
