"""Event source mappings as the template declares them, once the SAM transform has run.

docs/local-platform.md lists every setting: AWS's rule, what we do, and the test that says so.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.errors import InvalidInputError
from streamscore.local.delivery import Rules
from streamscore.local.filters import compile_filters, parsed_pattern

KIND = "AWS::Lambda::EventSourceMapping"

# CreateEventSourceMapping refuses what lies outside. -1: without limit.
_RANGES = {
    "BatchSize": (100, 1, 10_000),
    "MaximumBatchingWindowInSeconds": (0, 0, 300),
    "MaximumRetryAttempts": (-1, -1, 10_000),
    "MaximumRecordAgeInSeconds": (-1, -1, 604_800),
    "TumblingWindowInSeconds": (0, 0, 900),
    "ParallelizationFactor": (1, 1, 10),
}
_LEAST_AGE_S = 60
_MOST_FILTERS = 5


@dataclass(frozen=True)
class Mapping:
    """A stream that feeds a function."""

    name: str  # the logical id
    uuid: str
    source_arn: str
    function_arn: str
    rules: Rules
    patterns: tuple[str, ...] = ()
    failure_bucket: str | None = None
    starts: str = "TRIM_HORIZON"
    starts_at_ms: int | None = None  # with AT_TIMESTAMP
    enabled: bool = True

    @property
    def function_name(self) -> str:
        """The name that the function is invoked by."""
        return self.function_arn.split(":function:")[1].split(":")[0]

    @property
    def reads_table(self) -> bool:
        """Whether the stream is a DynamoDB table's, and not of Kinesis."""
        return ":dynamodb:" in self.source_arn


def read_mapping(
    name: str, declared: Dict[str, Any], deployed: Dict[str, Any], *, enabled: bool = True
) -> Mapping:
    """Join the template's properties (the emulator keeps not all) with what CloudFormation resolved.

    Raises InvalidInputError for settings that AWS refuses or that the local stack cannot follow.
    """
    source_arn = str(deployed["EventSourceArn"])
    starts, starts_at_ms = _start(name, declared, source_arn)
    return Mapping(
        name=name,
        uuid=deployed["UUID"],
        source_arn=source_arn,
        function_arn=deployed["FunctionArn"],
        rules=_rules(name, declared),
        patterns=_patterns(name, declared, source_arn),
        failure_bucket=_failure_bucket(name, deployed),
        starts=starts,
        starts_at_ms=starts_at_ms,
        enabled=enabled,
    )


def _rules(name: str, declared: Dict[str, Any]) -> Rules:
    whole = {key: _whole(name, declared, key) for key in _RANGES}
    retries, age_s = whole["MaximumRetryAttempts"], whole["MaximumRecordAgeInSeconds"]
    if age_s != -1 and age_s < _LEAST_AGE_S:
        raise InvalidInputError(
            f"{name}: MaximumRecordAgeInSeconds is -1 (no limit) or at least {_LEAST_AGE_S}, found {age_s}"
        )
    if whole["ParallelizationFactor"] != 1:
        why = "a tumbling window allows no other" if whole["TumblingWindowInSeconds"] else "one lane a shard"
        raise InvalidInputError(f"{name}: ParallelizationFactor must be 1 in the local stack: {why}")
    kinds = declared.get("FunctionResponseTypes", [])
    if not set(kinds) <= {"ReportBatchItemFailures"}:
        raise InvalidInputError(f"{name}: FunctionResponseTypes knows ReportBatchItemFailures, found {kinds}")
    return Rules(
        batch_size=whole["BatchSize"],
        batching_ms=1000 * whole["MaximumBatchingWindowInSeconds"],
        reports_failures=bool(kinds),
        bisects=declared.get("BisectBatchOnFunctionError") is True,
        max_retries=None if retries == -1 else retries,
        max_age_ms=None if age_s == -1 else 1000 * age_s,
        tumbling_ms=1000 * whole["TumblingWindowInSeconds"],
    )


def _whole(name: str, declared: Dict[str, Any], key: str) -> int:
    default, least, most = _RANGES[key]
    value = declared.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInputError(f"{name}: {key} must be a number in the template, found {value!r}")
    if not least <= value <= most:
        raise InvalidInputError(f"{name}: {key} must be from {least} to {most}, found {value}")
    return value


def _patterns(name: str, declared: Dict[str, Any], source_arn: str) -> tuple[str, ...]:
    patterns = tuple(f["Pattern"] for f in declared.get("FilterCriteria", {}).get("Filters", ()))
    if len(patterns) > _MOST_FILTERS:
        raise InvalidInputError(f"{name}: {len(patterns)} filters; AWS takes {_MOST_FILTERS}")
    compile_filters(list(patterns))
    for pattern in patterns if ":kinesis:" in source_arn else ():
        if not all(key == "data" and isinstance(v, dict) for key, v in parsed_pattern(pattern).items()):
            raise InvalidInputError(
                f"{name}: of a Kinesis record AWS filters its JSON under `data` only, found {pattern}"
            )
    return patterns


def _start(name: str, declared: Dict[str, Any], source_arn: str) -> tuple[str, int | None]:
    starts = declared.get("StartingPosition", "TRIM_HORIZON")
    allowed = ["TRIM_HORIZON", "LATEST", *(["AT_TIMESTAMP"] if ":kinesis:" in source_arn else [])]
    if starts not in allowed:
        raise InvalidInputError(f"{name}: StartingPosition must be one of {allowed}, found {starts!r}")
    if starts != "AT_TIMESTAMP":
        return starts, None
    at = declared.get("StartingPositionTimestamp")
    if not isinstance(at, int | float):
        raise InvalidInputError(
            f"{name}: AT_TIMESTAMP needs StartingPositionTimestamp in seconds, found {at!r}"
        )
    if at > datetime.now(UTC).timestamp():
        raise InvalidInputError(f"{name}: StartingPositionTimestamp {at} is in the future")
    return starts, round(at * 1000)


def _failure_bucket(name: str, deployed: Dict[str, Any]) -> str | None:
    arn = deployed.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if arn is None:
        return None
    if not str(arn).startswith("arn:aws:s3:::"):
        raise InvalidInputError(f"{name}: the local stack sends failed batches to S3 only, not to {arn}")
    return str(arn).removeprefix("arn:aws:s3:::")
