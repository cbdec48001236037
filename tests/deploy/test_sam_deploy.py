"""The whole stack by `sam deploy`, and a second one while events flow: none is lost, none decided twice.

make test-deploy
"""

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_features import spec as specs
from stream_features.state import decode_out
from streamscore.cli._moment import moment_ms
from streamscore.decided.decisions_log import decisions_log
from streamscore.demo.contents import given_up, set_aside
from streamscore.local.streams import open_stream
from streamscore.producer.records import Selection, records
from streamscore.producer.stream import Pace, Record, put
from streamscore.training.tables import read_events
from tests.conftest import poll_until
from tests.deploy.account import BUILD, ROOT, STACK, Account, account, built
from tests.integration.commands import invoke

RATE = 100
AFTERWARDS = 300
"""Records put once the second deployment is done."""
UNTIL = "2018-05-20"
SPEC = (ROOT / "src/features.toml").read_text(encoding="utf-8")
MORE = """
[[feature]]
name = "customer_count_{window}_too"
entity = "customer"
op = "count"
windows = ["6h"]
"""
STREAM_FUNCTIONS = ("StreamFeaturesFunctionName", "ScoringFunctionName", "MonitorWindowsFunctionName")
HELD = {  # what holds data: no deployment may put another in its place
    "AWS::DynamoDB::Table",
    "AWS::Kinesis::Stream",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The stack as a first `make deploy` leaves it."""
    with account(tmp_path_factory.mktemp("account")) as one:
        run("publish", "--if-deployed", "--stage", "dev")
        one.sam_deploy(built(one.folder / "first", one.proxy_url))
        run("publish", "--stage", "dev")
        yield one


def run(*arguments: Any) -> str:
    """A command of ours that has to succeed; what it said on standard output."""
    done = invoke(*arguments)
    assert done.exit_code == 0, f"{done.exception or done.output}"
    return done.stdout


def resources(there: Account) -> dict[str, tuple[str, str, str]]:
    """Type, physical id and status, by logical id."""
    pages = there.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    return {
        one["LogicalResourceId"]: (one["ResourceType"], one["PhysicalResourceId"], one["ResourceStatus"])
        for page in pages
        for one in page["StackResourceSummaries"]
    }


def parameters(there: Account) -> dict[str, str]:
    return {one["ParameterKey"]: one["ParameterValue"] for one in there.stack()["Parameters"]}


def test_a_first_deployment_makes_everything_and_lets_nothing_poll(there: Account) -> None:
    assert there.stack()["StackStatus"] == "CREATE_COMPLETE"
    made = resources(there)
    assert {status for _, _, status in made.values()} == {"CREATE_COMPLETE"}
    assert len([kind for kind, _, _ in made.values() if kind == "AWS::Lambda::EventSourceMapping"]) == 3
    assert parameters(there)["EventSources"] == "disabled"
    digests = json.loads((BUILD / "digests.json").read_text(encoding="utf-8"))
    for name in digests:
        if name.endswith("Function"):
            found = there.client("lambda").get_function_configuration(FunctionName=made[name][1])
            assert base64.b64decode(found["CodeSha256"]).hex() == digests[name]


def test_a_second_deployment_while_events_flow_loses_nothing_and_decides_nothing_twice(
    there: Account, tmp_path: Path
) -> None:
    events = prepared(there, tmp_path)
    run("policy", "publish", ROOT / "src/policy.toml", "--stage", "dev")
    before, pointed, version = resources(there), pointers(there), live_version(there)
    more = tmp_path / "features.toml"
    more.write_text(SPEC + MORE, encoding="utf-8")

    with there.polling() as poller:
        flow = Flow(there, events)
        flow.start()
        poll_until(lambda: flow.landed > RATE, "events flow")
        run("publish", "--spec", more, "--stage", "dev")
        template = built(there.folder / "second", there.proxy_url, more.read_text(encoding="utf-8"))
        there.sam_deploy(template, "--parameter-overrides", "Stage=dev ModelAgeDaysMost=30")
        flow.deployed.set()
        flow.join()
        poller.drain(60)

    assert flow.error is None
    assert there.stack()["StackStatus"] == "UPDATE_COMPLETE"
    values = parameters(there)
    assert (values["ModelAgeDaysMost"], values["EventSources"]) == ("30", "disabled")
    after = resources(there)
    held = {name: one[:2] for name, one in before.items() if one[0] in HELD}
    assert len({kind for kind, _ in held.values()}) == len(HELD)
    assert {name: after[name][:2] for name in held} == held
    assert pointers(there) == pointed
    assert int(live_version(there)) == int(version) + 1, "the HTTP API's alias leads to the new code"

    decided = list(decisions_log(there))
    ids = sorted(json.loads(record.data)["transaction_id"] for record in flow.put if not record.is_label)
    assert sorted(one.id for one in decided) == ids
    assert Counter(rows_given(there)) == Counter(ids), "each event's row was written once"
    assert Counter(inserts(there)) == Counter(ids), "each decision was written once"
    by_spec = Counter(one.decision.spec_sha for one in decided)
    assert by_spec.keys() == {specs.parse(SPEC).sha256, specs.parse(SPEC + MORE).sha256}
    assert all(one.decision.model for one in decided), "the champion scored every row, of either spec"
    assert (given_up(there), set_aside(there, "quarantine/")) == (0, 0)
    for output in STREAM_FUNCTIONS:
        codes = {code for name, code in there.lambdas.invoked if name == there.outputs[output]}
        assert len(codes) == 2, f"{output} ran with the code of both deployments"
    run("parity", events, "--stage", "dev")


def prepared(there: Account, folder: Path) -> Path:
    """What a newcomer does after the first deployment: history into the state, a model in its place."""
    events, features, bundle = folder / "events.csv", folder / "features.parquet", folder / "bundle"
    run("generate", "-o", events, "--customers", 200, "--terminals", 100, "--days", 60)
    run("backfill", events, "-o", features)
    run("train", features, "-o", bundle)
    run("load-state", events, "--until", UNTIL, "--stage", "dev")
    run("promote", bundle, "--stage", "dev")
    return events


class Flow(threading.Thread):
    """Puts events and labels on the stream, until a while after `deployed` is set."""

    def __init__(self, there: Account, events: Path) -> None:
        super().__init__(name="flow", daemon=True)
        self.deployed = threading.Event()
        self.put: list[Record] = []
        self.landed = 0
        self.error: BaseException | None = None
        self._there, self._events = there, events

    def run(self) -> None:
        spec = specs.parse(SPEC)
        some = records(spec, read_events(self._events, spec), Selection(since_ms=moment_ms(UNTIL, "UNTIL")))
        stream = self._there.outputs["EventsStreamArn"]
        try:
            put(self._there.client("kinesis"), stream, self._until_deployed(some), Pace(RATE), self)
        except BaseException as error:
            self.error = error

    def advance(self, count: int) -> None:
        """So many records have landed."""
        self.landed += count

    def expect(self, count: int) -> None:
        """Nobody knows."""

    def _until_deployed(self, some: Iterable[Record]) -> Iterator[Record]:
        left = AFTERWARDS
        for record in some:
            left -= self.deployed.is_set()
            if not left:
                return
            self.put.append(record)
            yield record
        raise AssertionError("the events ended before the deployment did: generate more")


def pointers(there: Account) -> dict[str, str]:
    names = [f"{there.outputs['PointerPrefix']}/{name}" for name in ("champion", "policy")]
    found = there.client("ssm").get_parameters(Names=names)["Parameters"]
    assert len(found) == 2
    return {one["Name"]: one["Value"] for one in found}


def live_version(there: Account) -> str:
    """What the HTTP API invokes."""
    name = there.outputs["ScoringApiFunctionName"]
    version: str = there.client("lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    return version


def rows_given(there: Account) -> Iterator[str]:
    """The id of each row that any state's write gave to be scored."""
    for change in changes(there, "StateStreamArn"):
        out = change["dynamodb"].get("NewImage", {}).get("out")
        if out:
            yield from (row.id for row in decode_out(base64.b64decode(out["B"])).rows)


def inserts(there: Account) -> Iterator[str]:
    """The id of each write that made a decision where there was none."""
    for change in changes(there, "DecisionsStreamArn"):
        image = change["dynamodb"]
        if "scored_at" in image.get("NewImage", {}) and "scored_at" not in image.get("OldImage", {}):
            yield image["Keys"]["pk"]["S"]


def changes(there: Account, output: str) -> Iterator[dict[str, Any]]:
    """Everything on a table's stream, from its beginning."""
    stream = open_stream(there.outputs[output], there.endpoint, "us-east-1")
    for shard in stream.shards():
        iterator: str | None = stream.iterator(shard.id, None)
        while iterator:
            read = stream.read(shard.id, iterator)
            yield from (document for _sequence, _arrival_ms, document in read.records)
            iterator = None if read.at_tip else read.iterator
    stream.close()
