"""docs/operations.md: a section for every alarm, and only commands that exist, with options they have."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from botocore import xform_name
from botocore.session import Session

from streamscore.cli.main import cli
from tests.unit.test_alarms import ALARMS, COMPOSITES
from tests.unit.transformed_template import ROOT, resources, source

TEXT = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
PARTS = ("**Means.**", "**See.**", "**Do.**", "**Over when.**")
CLIS_OWN = {
    ("s3", "ls"): {"--recursive"},
    ("s3", "cp"): {"--recursive", "--exclude", "--include"},
    ("logs", "tail"): {"--since", "--format"},
}
"""Commands of the AWS CLI that are no operation of an API."""
RENAMED: dict[tuple[str, str], set[str]] = {("sns", "subscribe"): {"--notification-endpoint"}}
"""Options that the AWS CLI calls otherwise than the API."""
GLOBAL = {"--endpoint-url", "--query", "--output", "--cli-binary-format"}
SEPARATORS = set("|;&()<>")


def sections() -> dict[str, str]:
    """The text under each alarm's heading; headings that follow each other share it."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    for part in re.split(r"^(?=#)", TEXT, flags=re.M):
        heading, _, text = part.partition("\n")
        name = re.fullmatch(r"### (\w+Alarm)", heading)
        waiting = [*waiting, name[1]] if name else []
        if text.strip():
            found |= dict.fromkeys(waiting, text)
            waiting = []
    return found


def commands() -> Iterator[list[str]]:
    """Every simple command of the page: those in blocks and in running text, and those inside `$(…)`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    running = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S))
    for line in [*(line for block in blocks for line in block.splitlines()), *running]:
        yield from simple(line)


def simple(line: str) -> Iterator[list[str]]:
    """The simple commands of a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    command: list[str] = []
    for token in [*tokens(lexer), ";"]:
        for inner in re.findall(r"\$\(([^()]*)\)", token):
            yield from simple(inner)
        if set(token) <= SEPARATORS:
            if command:
                yield command
            command = []
        else:
            command.append(token)


def tokens(lexer: shlex.shlex) -> Iterator[str]:
    """The tokens of running text, up to where it is no shell (an apostrophe)."""
    try:
        yield from lexer
    except ValueError:
        return


def starting_with(*program: str) -> list[list[str]]:
    length = len(program)
    return [c[length:] for c in commands() if tuple(c[:length]) == program and len(c) > length]


def test_every_alarm_has_its_section_with_all_four_parts() -> None:
    found = sections()
    assert set(found) == set(ALARMS | COMPOSITES)
    for name, text in found.items():
        for part in PARTS:
            assert text.count(part) == 1, (name, part)


@pytest.mark.parametrize("arguments", starting_with("aws"), ids=" ".join)
def test_a_command_of_the_aws_cli_exists_and_has_these_options(arguments: list[str]) -> None:
    service, operation, *rest = arguments
    given = {a for a in rest if a.startswith("--")}
    if (service, operation) in CLIS_OWN:
        assert given <= CLIS_OWN[service, operation]
        return
    model = Session().get_service_model({"s3api": "s3"}.get(service, service))
    if operation == "wait":
        waiters = Session().create_client(service, "us-east-1").waiter_names
        assert rest[0].replace("-", "_") in waiters
        operation = "describe-table"
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    members = shape.members if shape else {}
    allowed = (
        {f"--{xform_name(name, '-')}" for name in members} | GLOBAL | RENAMED.get((service, operation), set())
    )
    assert given <= allowed, given - allowed
    required = {f"--{xform_name(name, '-')}" for name in (shape.required_members if shape else ())}
    positional = {"--message-body"} if operation == "invoke" else set[str]()
    assert required - positional <= given, required - given


@pytest.mark.parametrize(
    "arguments",
    [*starting_with(".venv/bin/streamscore"), *starting_with("streamscore")],
    ids=" ".join,
)
def test_a_command_of_ours_exists_and_has_these_options(arguments: list[str]) -> None:
    command: click.Command = cli
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("--"):
        name, *arguments = arguments
        found = command.get_command(click.Context(command), name)
        assert found, f"there is no command {name}"
        command = found
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert {a for a in arguments if a.startswith("--")} <= known


def test_make_targets_and_scripts_exist() -> None:
    for target, *_ in starting_with("make"):
        assert target in TARGETS
    for script, *_ in starting_with(".venv/bin/python"):
        assert (ROOT / script).exists()


def test_what_is_looked_up_in_the_stack_is_there() -> None:
    outputs = set(re.findall(r"\$\(output (\w+)\)", TEXT)) - {"X"}
    ids = set(re.findall(r"\$\(id_of (\w+)\)", TEXT)) | {c[0] for c in starting_with("logs")}
    assert outputs <= set(source()["Outputs"])
    assert ids <= set(resources())
    assert ids


def test_the_page_and_the_template_name_the_same_parameters() -> None:
    named = set(re.findall(r"\b(ShardCount|StreamMode|ApiSnapStart|AlarmEmail|MonthlyBudgetUSD)\b", TEXT))
    assert named <= set(source()["Parameters"])


def test_every_limit_names_a_test_or_a_script_that_exists() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    rows = re.findall(r"^\| .*\| (.*) \|$", TEXT.partition("## Limits\n")[2], re.M)[1:]
    assert len(rows) > 9
    for seen_by in rows:
        named = re.findall(r"`([^`]+)`", seen_by)
        assert named, "every row is seen by something"
        assert all(name in defined or (ROOT / name).is_file() for name in named), named
