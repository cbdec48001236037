"""What the local stack changes in template.yaml: the whole list, each with its reason. Nothing else differs.

The functions' code, their layers and their stream mappings are our own runtime host's and poller's work, so
the emulator only has to know that they exist.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from streamscore.local.log_key import LOG_KEY

Template = dict[str, Any]

COMPOSITE = "AWS::CloudWatch::CompositeAlarm"
POINTERS_REREAD_S = 5
PARAMETERS = {
    "Stage": "dev",
    "EventSources": "disabled",
    "StreamMode": "PROVISIONED",
    "Retraining": "enabled",
}
_PROJECT = Path(__file__).resolve().parents[2]


def localised(template: Template, proxy_url: str) -> Template:
    """A copy of the template as the emulator takes it, whose functions are invoked through `proxy_url`."""
    local = copy.deepcopy(template)
    for change in DIFFERENCES:
        change(local)
    _environment(local)["MINISTACK_LAMBDA_PROXY_URL"] = proxy_url
    return local


def deployable(built: Template, proxy_url: str) -> Template:
    """A copy of what `sam build` made, as `sam deploy` can bring it to the emulator: without what that
    refuses, and with functions that are invoked through `proxy_url`. Code, layers and mappings are real.
    """
    local = copy.deepcopy(built)
    for change in REFUSED:
        change(local)
    _environment(local)["MINISTACK_LAMBDA_PROXY_URL"] = proxy_url
    return local


def _code_is_on_disk(local: Template) -> None:
    """The emulator refuses a local CodeUri; the runtime host runs the code from disk, so any address does."""
    local["Globals"]["Function"]["CodeUri"] = "s3://local/code.zip"


def _wheels_are_installed(local: Template) -> None:
    """A local ContentUri is refused too; the app's own environment holds the same locked wheels."""
    del local["Globals"]["Function"]["Layers"]
    for function in _of_type(local, "AWS::Serverless::Function"):
        function.pop("Layers", None)
    for name in ("RuntimeLayer", "OnnxLayer"):
        del local["Resources"][name]


def _mappings_are_polled_by_us(local: Template) -> None:
    """The emulator's poller loses records and ignores most settings: it must never see an enabled mapping.

    It takes the string a parameter gives for true, so the value must be a literal.
    """
    for function in _of_type(local, "AWS::Serverless::Function"):
        for event in function.get("Events", {}).values():
            if event["Type"] in {"Kinesis", "DynamoDB"}:
                event["Properties"]["Enabled"] = False


def _no_http_api(local: Template) -> None:
    """A SAM HttpApi deploys without routes in the emulator; invoke ScoringApiFunction directly instead."""
    for name in ("HttpApi", "HttpApiLogs"):
        del local["Resources"][name]
    for function in _of_type(local, "AWS::Serverless::Function"):
        events = function.get("Events", {})
        function["Events"] = {k: event for k, event in events.items() if event["Type"] != "HttpApi"}
    del local["Resources"]["ApiFailingAlarm"]  # counts its 5xx
    del local["Outputs"]["HttpApiUrl"]


def _alarms_of_one_metric_only(local: Template) -> None:
    """The emulator's CloudFormation refuses composite alarms (`deploy` makes them) and metric maths.

    The one with maths only keeps a composite alarm quiet, which the emulator does not know either.
    """
    alarms = local["Resources"]
    for name in [n for n, r in alarms.items() if r["Type"] == COMPOSITE or "Metrics" in r["Properties"]]:
        del alarms[name]


def _no_dashboard_and_no_budget(local: Template) -> None:
    """Nobody can look at a dashboard of the emulator, and it knows no budgets: it charges nothing."""
    for name in ("Dashboard", "MonthlyBudget"):
        del local["Resources"][name]


def _no_named_queries(local: Template) -> None:
    """The emulator's Athena has none."""
    resources = local["Resources"]
    for name in [n for n, resource in resources.items() if resource["Type"] == "AWS::Athena::NamedQuery"]:
        del resources[name]


def _no_sql_over_exports(local: Template) -> None:
    """The emulator has no named queries and exports nothing; locally the table itself is scanned."""
    kinds = ("AWS::Glue::", "AWS::Athena::")
    resources = local["Resources"]
    for name in [name for name, resource in resources.items() if resource["Type"].startswith(kinds)]:
        del resources[name]
    del resources["AnalystPolicy"]


def _log_key_is_fixed(local: Template) -> None:
    """Hashes in local logs compare between runs, and a laptop's stack has nothing to hide."""
    secret = local["Resources"]["LogKeySecret"]["Properties"]
    del secret["GenerateSecretString"]
    secret["SecretString"] = LOG_KEY


def _pointers_are_followed_soon(local: Template) -> None:
    """Nobody waits a minute at their desk to see what a promotion does, and nobody pays for asking."""
    _environment(local)["POINTERS_REREAD_S"] = str(POINTERS_REREAD_S)


def _definition_is_inline(local: Template) -> None:
    """The emulator refuses a local DefinitionUri, as it does code."""
    for machine in _of_type(local, "AWS::Serverless::StateMachine"):
        path = _PROJECT / machine.pop("DefinitionUri")
        machine["Definition"] = yaml.safe_load(path.read_text(encoding="utf-8"))


def _no_training_image(local: Template) -> None:
    """Jobs run from this checkout (`local/jobs.py`): no image is built, there is no registry."""
    resources = local["Resources"]
    for name in [name for name in resources if name.startswith("TrainingImage")]:
        del resources[name]
    pull = "PullTheImage"
    statements = resources["TrainingJobRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements[:] = [one for one in statements if not isinstance(one, dict) or one.get("Sid") != pull]
    (machine,) = _of_type(local, "AWS::Serverless::StateMachine")
    machine["DefinitionSubstitutions"]["Image"] = "this-checkout"
    del local["Outputs"]["TrainingImageBuildName"]


REFUSED: tuple[Callable[[Template], None], ...] = (
    _alarms_of_one_metric_only,
    _no_dashboard_and_no_budget,
    _no_named_queries,
)
"""What no stack in the emulator can have, also one of `sam deploy`."""
DIFFERENCES: tuple[Callable[[Template], None], ...] = (
    _code_is_on_disk,
    _wheels_are_installed,
    _mappings_are_polled_by_us,
    _no_http_api,
    _alarms_of_one_metric_only,
    _no_dashboard_and_no_budget,
    _no_sql_over_exports,
    _definition_is_inline,
    _no_training_image,
    _log_key_is_fixed,
    _pointers_are_followed_soon,
)


def hurry(local: Template, window_s: int) -> None:
    """Let the monitor's windows, and what alarms look at of its looks, last `window_s` instead of five
    minutes. Nothing looks by itself: whoever asks for short windows asks for looks too, as the shortest
    schedule is a minute.
    """
    resources = local["Resources"]
    for function in _of_type(local, "AWS::Serverless::Function"):
        for event in function.get("Events", {}).values():
            if "TumblingWindowInSeconds" in event["Properties"]:
                event["Properties"]["TumblingWindowInSeconds"] = window_s
    for alarm in _of_type(local, "AWS::CloudWatch::Alarm"):
        if alarm.get("TreatMissingData") == "ignore":  # what a look says stands until the next
            alarm["Period"] = window_s
    del resources["MonitorSchedule"]


def _of_type(template: Template, kind: str) -> list[dict[str, Any]]:
    return [r["Properties"] for r in template["Resources"].values() if r["Type"] == kind]


def _environment(template: Template) -> dict[str, Any]:
    variables: dict[str, Any] = template["Globals"]["Function"]["Environment"]["Variables"]
    return variables
