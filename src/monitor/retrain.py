"""Retraining's small function: takes reasons in, gives one run at a time its turn, and does what in a run
needs no training container. The run itself is `statemachines/retrain.asl.yaml`.

An event is a trigger's (`requests.reasons_of`), or a state's: {"step": name, "run": the execution's name, …}.
"""

import functools
import os
import time
from collections.abc import Mapping
from typing import Any

from common import aws
from common.errors import InvalidInputError, NoAnswerError, ServiceError
from common.settings import Settings
from common.telemetry import logger, note, observed
from monitor import advised, steps
from monitor.requests import reasons_of
from monitor.runs import Runs
from monitor.steps import STEPS, Parts
from monitor.store import Store
from monitor.turns import Machine, ask
from scoring.bus import Bus
from scoring.objects import object_reader


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    return answer(_parts(), event, time.time())


def answer(parts: Parts, event: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """What a trigger led to, or what a step found."""
    if "step" not in event:
        found = [advised.named(parts.store, reason, now_s) for reason in reasons_of(event)]
        run = ask(parts.runs, parts.machine, found, steps.policy(parts).retrain, now_s)
        logger().info("asked to retrain", extra={"reasons": [one.text for one in found], "run": run})
        return {"run": run, "reasons": len(found)}
    name = str(event["step"])
    if name not in STEPS:
        raise InvalidInputError(f"step {name!r}: there are {', '.join(sorted(STEPS))}")
    note(run=str(event["run"]), step=name)
    return STEPS[name](parts, event, now_s)


@functools.cache
def _parts() -> Parts:
    settings = Settings.from_environ(os.environ)
    dynamodb, s3, ssm = (aws.client(service, 5) for service in ("dynamodb", "s3", "ssm"))
    clients = dynamodb, s3, ssm
    return Parts(
        Store(settings.monitor_table, settings.data_bucket, settings.pointer_prefix, clients),
        Runs(dynamodb, settings.monitor_table),
        Machine(aws.client("states", 5), os.environ["RETRAIN_MACHINE_ARN"]),
        Bus(aws.client("events", 3), settings.event_bus),
        ssm,
        settings.pointer_prefix,
        object_reader(s3, settings.data_bucket),
        functools.partial(_write, s3, settings.data_bucket),
        os.environ["RETRAIN_APPROVAL"],
        functools.partial(is_on, aws.client("monitoring", 3), os.environ["RETRAIN_ALARM"]),
    )


def is_on(cloudwatch: Any, alarm: str) -> bool:
    """Whether that alarm is on; "" is none, as alarms start nothing here. What cannot be asked is off: its
    next move is told all the same.
    """
    if not alarm:
        return False
    try:
        found = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    except (NoAnswerError, ServiceError) as error:
        logger().warning("the alarm was not asked", extra={"error": str(error)})
        return False
    return any(one["StateValue"] == "ALARM" for one in found)


def _write(s3: Any, bucket: str, key: str, data: bytes) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=data)
