"""Event source mappings as the template declares them, once the SAM transform has run."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidInputError
from streamscore.local.delivery import Rules
from streamscore.local.filters import compile_filters

KIND = "AWS::Lambda::EventSourceMapping"


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

    @property
    def function_name(self) -> str:
        """The name that the function is invoked by."""
        return self.function_arn.split(":function:")[1].split(":")[0]


def read_mapping(name: str, declared: Dict[str, Any], deployed: Dict[str, Any]) -> Mapping:
    """Join the template's properties (the emulator keeps not all) with what CloudFormation resolved.

    Raises InvalidInputError for settings that AWS refuses or that the local stack cannot follow.
    """
    rules = _rules(name, declared)
    patterns = tuple(f["Pattern"] for f in declared.get("FilterCriteria", {}).get("Filters", ()))
    compile_filters(list(patterns))
    return Mapping(
        name=name,
        uuid=deployed["UUID"],
        source_arn=deployed["EventSourceArn"],
        function_arn=deployed["FunctionArn"],
        rules=rules,
        patterns=patterns,
        failure_bucket=_failure_bucket(name, deployed),
    )


def _rules(name: str, declared: Dict[str, Any]) -> Rules:
    def whole(key: str, default: int) -> int:
        value = declared.get(key, default)
        if not isinstance(value, int):
            raise InvalidInputError(f"{name}: {key} must be a number in the template, found {value!r}")
        return value

    if declared.get("StartingPosition", "TRIM_HORIZON") != "TRIM_HORIZON":
        raise InvalidInputError(f"{name}: the local stack starts mappings at TRIM_HORIZON only")
    if whole("ParallelizationFactor", 1) != 1:
        raise InvalidInputError(
            f"{name}: the local stack has one lane a shard: ParallelizationFactor must be 1"
        )
    retries, age_s = whole("MaximumRetryAttempts", -1), whole("MaximumRecordAgeInSeconds", -1)
    return Rules(
        batch_size=whole("BatchSize", 100),
        batching_ms=1000 * whole("MaximumBatchingWindowInSeconds", 0),
        reports_failures="ReportBatchItemFailures" in declared.get("FunctionResponseTypes", ()),
        bisects=declared.get("BisectBatchOnFunctionError") is True,
        max_retries=None if retries == -1 else retries,
        max_age_ms=None if age_s == -1 else 1000 * age_s,
        tumbling_ms=1000 * whole("TumblingWindowInSeconds", 0),
    )


def _failure_bucket(name: str, deployed: Dict[str, Any]) -> str | None:
    arn = deployed.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if arn is None:
        return None
    if not str(arn).startswith("arn:aws:s3:::"):
        raise InvalidInputError(f"{name}: the local stack sends failed batches to S3 only, not to {arn}")
    return str(arn).removeprefix("arn:aws:s3:::")
