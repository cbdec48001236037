"""The alarms as CloudFormation gets them: each watches something that exists, tells somebody, and can end."""

import re
from typing import Any

import pytest

from common.metrics import BY_NAME
from streamscore.estimate.bill import ALARM_MONTHS
from tests.unit.transformed_template import of_type, resources

ALARMS = of_type("AWS::CloudWatch::Alarm")
COMPOSITES = of_type("AWS::CloudWatch::CompositeAlarm")
SOMETIMES = {name for name in ALARMS if "Condition" in resources()[name]}
"""Alarms that a parameter makes."""
TOPIC = [{"Ref": "AlarmTopic"}]
STREAM = {"EventsStream"}
FUNCTIONS = set(of_type("AWS::Lambda::Function"))
MAPPINGS = set(of_type("AWS::Lambda::EventSourceMapping"))
TABLES = set(of_type("AWS::DynamoDB::Table"))
QUEUES = set(of_type("AWS::SQS::Queue"))
OF_AWS = {
    ("AWS/Lambda", "IteratorAge"): ("FunctionName", FUNCTIONS),
    ("AWS/Lambda", "Errors"): ("FunctionName", FUNCTIONS),
    ("AWS/Lambda", "Throttles"): ("FunctionName", FUNCTIONS),
    ("AWS/Lambda", "Invocations"): ("FunctionName", FUNCTIONS),
    ("AWS/Lambda", "OnFailureDestinationDeliveredEventCount"): ("EventSourceMappingUUID", MAPPINGS),
    ("AWS/Lambda", "DroppedEventCount"): ("EventSourceMappingUUID", MAPPINGS),
    ("AWS/Kinesis", "IncomingRecords"): ("StreamName", STREAM),
    ("AWS/Kinesis", "WriteProvisionedThroughputExceeded"): ("StreamName", STREAM),
    ("AWS/DynamoDB", "WriteThrottleEvents"): ("TableName", TABLES),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): ("QueueName", QUEUES),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName", QUEUES),
    ("AWS/States", "ExecutionsFailed"): ("StateMachineArn", {"RetrainMachine"}),
    ("AWS/ApiGateway", "5xx"): ("ApiId", {"HttpApi"}),
    ("AWS/ApiGateway", "4xx"): ("ApiId", {"HttpApi"}),
    ("AWS/ApiGateway", "Count"): ("ApiId", {"HttpApi"}),
    ("AWS/ApiGateway", "Latency"): ("ApiId", {"HttpApi"}),
}
"""What AWS emits without our doing, with its dimension and whose it can be."""

BEHIND = ("Maximum", 60, 5, 5)
LASTING = ("Sum", 60, 5, 3)
ONE_IS_ENOUGH = ("Sum", 300, 1, 1)
EXPECTED: dict[tuple[Any, ...], set[str]] = {
    (*BEHIND, ">", 60_000, "notBreaching"): {"StreamFeaturesBehindAlarm", "ScoringBehindAlarm"},
    (*BEHIND, ">", 900_000, "notBreaching"): {"MonitorBehindAlarm"},
    ("p99", 300, 3, 2, ">", 5_000, "notBreaching"): {"DecisionsSlowAlarm"},
    ("p99", 300, 3, 3, ">", 500, "notBreaching"): {"ApiSlowAlarm"},
    (*LASTING, ">", 0, "notBreaching"): {
        "StreamFeaturesErrorsAlarm",
        "ScoringErrorsAlarm",
        "MonitorWindowsErrorsAlarm",
        "ApiFailingAlarm",
        "StreamFeaturesThrottledAlarm",
        "ScoringThrottledAlarm",
        "ScoringApiThrottledAlarm",
        "MonitorWindowsThrottledAlarm",
        "MonitorScheduleThrottledAlarm",
        "RetrainThrottledAlarm",
        "StreamFullAlarm",
        "StateThrottledAlarm",
        "DecisionsThrottledAlarm",
    },
    (*ONE_IS_ENOUGH, ">", 0, "notBreaching"): {
        "ScoringApiErrorsAlarm",
        "RecordsQuarantinedAlarm",
        "FeaturesGivenUpAlarm",
        "ScoringGivenUpAlarm",
        "MonitorGivenUpAlarm",
        "FeaturesLostAlarm",
        "ScoringLostAlarm",
        "MonitorLostAlarm",
        "FeaturesMissingAlarm",
        "ApiFeaturesMissingAlarm",
        "ScoresMissingAlarm",
        "ApiScoresMissingAlarm",
        "ModelMissingAlarm",
        "ApiModelMissingAlarm",
        "ModelRejectedAlarm",
        "ApiModelRejectedAlarm",
        "PolicyRefusedAlarm",
        "ApiPolicyRefusedAlarm",
        "EventsArrivingAlarm",
        "RetrainErrorsAlarm",
        "RetrainingFailedAlarm",
        "ModelRolledBackAlarm",
    },
    ("Sum", 60, 1, 1, ">", 0, "notBreaching"): {"NewApiVersionFailingAlarm"},
    ("Sum", 900, 1, 1, ">", 2, "notBreaching"): {"MonitorScheduleErrorsAlarm"},
    ("Sum", 300, 3, 3, ">", 0, "notBreaching"): {"ModelStaleAlarm", "ApiModelStaleAlarm"},
    ("Maximum", 300, 1, 1, ">", 600, "notBreaching"): {"UnpublishedAlarm"},
    ("Maximum", 300, 1, 1, ">", 0, "notBreaching"): {"UndeliveredAlarm"},
    ("Maximum", 300, 1, 1, ">", 0, "ignore"): {
        "FeaturesDriftedAlarm",
        "ScoreDriftedAlarm",
        "PerformanceDroppedAlarm",
        "RetrainingAdvisedAlarm",
        "CostOverBudgetAlarm",
    },
    ("Maximum", 300, 1, 1, ">", "ModelAgeDaysMost", "ignore"): {"ModelAgedAlarm"},
    ("Sum", 900, 2, 2, "<", 1, "breaching"): {"MonitorSilentAlarm"},
    ("Sum", 300, ("IsPolling", 3, 288), None, "<", 1, "breaching"): {"StreamFeaturesSilentAlarm"},
    (None, None, 5, 3, "<", -250, "notBreaching"): {"BacklogShrinkingAlarm"},
}


def rule_of(alarm: dict[str, Any]) -> tuple[Any, ...]:
    """Statistic, period, periods looked at, how many of them bad, comparison, threshold, without data."""
    periods = alarm["EvaluationPeriods"]
    looked_at = tuple(periods["Fn::If"]) if isinstance(periods, dict) else periods
    bad = alarm.get("DatapointsToAlarm", None if isinstance(periods, dict) else periods)
    sign = {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}[alarm["ComparisonOperator"]]
    statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    threshold, treated = alarm["Threshold"], alarm["TreatMissingData"]
    threshold = threshold["Ref"] if isinstance(threshold, dict) else threshold
    return (statistic, alarm.get("Period"), looked_at, bad, sign, threshold, treated)


def named_in(composite: dict[str, Any]) -> set[str]:
    """The alarms of a composite alarm's rule, and the one that keeps it quiet."""
    in_rule = {part.partition("}")[0] for part in composite["AlarmRule"]["Fn::Sub"].split("${")[1:]}
    quiet = composite.get("ActionsSuppressor", {}).get("Ref")
    return in_rule | ({quiet} if quiet else set())


def whose(dimension: dict[str, Any]) -> str:
    """The logical id, or the text, that a dimension's value comes from."""
    value = dimension["Value"]
    if isinstance(value, str):
        return value
    if "Fn::If" in value:
        return whose({"Value": value["Fn::If"][1]})
    name: str = value.get("Ref") or value.get("Fn::Sub") or value["Fn::GetAtt"][0]
    return name


def check_metric(namespace: str, metric: str, dimensions: dict[str, str]) -> None:
    """Fail unless something emits the metric with exactly these dimensions (values: logical ids, or text)."""
    if namespace == "streamscore":
        services = BY_NAME[metric].services
        assert set(dimensions) == {"service", "stage"}
        assert dimensions["stage"] == "Stage"
        assert services == "all" or dimensions["service"] in services.split(", "), (metric, services)
    else:
        name, owners = OF_AWS[namespace, metric]
        if "ExecutedVersion" in dimensions:  # of an alias while it leads to two versions
            version, alias = dimensions.pop("ExecutedVersion"), dimensions.pop("Resource")
            assert alias == f"${{{dimensions['FunctionName']}}}:live"
            assert resources()[version]["Type"] == "AWS::Lambda::Version"
        ((given, owner),) = dimensions.items()
        assert given == name
        assert owner in owners, (metric, owner)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_a_metric_that_somebody_emits(name: str) -> None:
    alarm = ALARMS[name]
    metrics = [alarm] if "MetricName" in alarm else [m["MetricStat"]["Metric"] for m in alarm["Metrics"][1:]]
    for metric in metrics:
        dimensions = {d["Name"]: whose(d) for d in metric["Dimensions"]}
        check_metric(metric["Namespace"], metric["MetricName"], dimensions)


def test_alarms_go_off_as_it_was_decided() -> None:
    found: dict[tuple[Any, ...], set[str]] = {}
    for name, alarm in ALARMS.items():
        found.setdefault(rule_of(alarm), set()).add(name)
    assert found == EXPECTED


@pytest.mark.parametrize("name", ALARMS)
def test_cloudwatch_looks_no_further_back_than_a_day(name: str) -> None:
    _, period, looked_at, *_ = rule_of(ALARMS[name])
    longest = max(looked_at[1:]) if isinstance(looked_at, tuple) else looked_at
    assert (period or 60) * longest <= 86_400


def test_what_is_told_begins_with_when_to_act_and_its_end_is_told_too() -> None:
    silent = set().union(*(named_in(c) for c in COMPOSITES.values()))
    for name, alarm in (ALARMS | COMPOSITES).items():
        if name in silent:
            assert "AlarmActions" not in alarm, f"{name} would tell what its composite alarm tells"
            assert alarm["AlarmDescription"].startswith(("Now, by ", "Nothing to do"))
        else:
            assert alarm["AlarmActions"] == alarm["OKActions"] == TOPIC, name
            assert alarm["AlarmDescription"].startswith(("Now: ", "Today: ")), name


def test_lateness_is_told_once_and_not_while_a_backlog_is_worked_off() -> None:
    late = COMPOSITES["DecisionsLateAlarm"]
    assert late["AlarmRule"]["Fn::Sub"].count(" OR ") == 2
    assert named_in(late) == {
        "StreamFeaturesBehindAlarm",
        "ScoringBehindAlarm",
        "DecisionsSlowAlarm",
        "BacklogShrinkingAlarm",
    }
    shrinking = ALARMS["BacklogShrinkingAlarm"]
    seen_after_s = 60 * shrinking["DatapointsToAlarm"]
    assert late["ActionsSuppressor"] == {"Ref": "BacklogShrinkingAlarm"}
    assert late["ActionsSuppressorWaitPeriod"] >= seen_after_s
    falling, age = shrinking["Metrics"]
    assert (falling["Expression"], falling["ReturnData"]) == ("RATE(age)", True)
    assert (age["Id"], age["MetricStat"]["Stat"]) == ("age", "Maximum")


def test_silence_is_told_only_while_events_arrive() -> None:
    unread = COMPOSITES["EventsUnreadAlarm"]
    assert " AND " in unread["AlarmRule"]["Fn::Sub"]
    assert named_in(unread) == {"EventsArrivingAlarm", "StreamFeaturesSilentAlarm"}


def test_every_function_has_an_alarm_for_errors_and_one_for_throttles() -> None:
    for metric in ("Errors", "Throttles"):
        watched = {whose(a["Dimensions"][0]) for a in ALARMS.values() if a.get("MetricName") == metric}
        assert watched == FUNCTIONS


def test_every_lane_has_an_alarm_for_its_age_and_for_what_it_gave_up_or_lost() -> None:
    lanes = {m["FunctionName"]["Ref"] for m in of_type("AWS::Lambda::EventSourceMapping").values()}
    ages = {whose(a["Dimensions"][0]) for a in ALARMS.values() if a.get("MetricName") == "IteratorAge"}
    assert ages == lanes
    for metric in ("OnFailureDestinationDeliveredEventCount", "DroppedEventCount"):
        watched = {whose(a["Dimensions"][0]) for a in ALARMS.values() if a.get("MetricName") == metric}
        assert watched == MAPPINGS


def test_what_the_stream_and_the_api_can_both_do_wrong_is_watched_in_both() -> None:
    by_service: dict[str, set[str]] = {}
    for alarm in ALARMS.values():
        if alarm.get("Namespace") == "streamscore":
            by_service.setdefault(whose(alarm["Dimensions"][0]), set()).add(alarm["MetricName"])
    assert by_service["scoring"] == by_service["scoring_api"]


def test_the_topic_takes_messages_from_this_stack_only() -> None:
    statements = {
        s["Sid"]: s for s in resources()["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    }
    assert set(statements) == {
        "AlarmsOfThisStack",
        "BudgetsOfThisAccount",
        "TheRuleThatTellsOfDrift",
        "TheRuleThatTellsOfRetraining",
        "TlsOnly",
    }
    for statement in statements.values():
        assert statement["Action"] == "sns:Publish"
        assert statement["Resource"] == {"Ref": "AlarmTopic"}
        assert statement["Condition"]
    alarms = statements["AlarmsOfThisStack"]["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]
    assert alarms.endswith(":alarm:${AWS::StackName}-*")
    drift = statements["TheRuleThatTellsOfDrift"]["Condition"]
    assert drift == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["DriftFoundRule", "Arn"]}}}
    told = statements["TheRuleThatTellsOfRetraining"]["Condition"]
    assert told == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["RetrainingToldRule", "Arn"]}}}
    for composite in COMPOSITES.values():
        assert composite["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-")


def test_the_queue_for_machines_takes_messages_from_the_topic_only_and_both_are_encrypted() -> None:
    (subscription,) = (s for s in of_type("AWS::SNS::Subscription").values() if s["Protocol"] == "sqs")
    assert subscription["TopicArn"] == {"Ref": "AlarmTopic"}
    assert subscription["Endpoint"] == {"Fn::GetAtt": ["AlarmQueue", "Arn"]}
    send, tls = resources()["AlarmQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert send["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "AlarmTopic"}}}
    assert tls["Effect"] == "Deny"
    for name in ("AlarmTopic", "AlarmQueue"):
        assert resources()[name]["Properties"]["KmsMasterKeyId"] == {"Ref": "DataKey"}
    granted = {s["Sid"]: s for s in resources()["DataKey"]["Properties"]["KeyPolicy"]["Statement"]}
    sns = granted["TheAlarmTopicSendsToItsQueue"]
    assert {"kms:Decrypt", "kms:GenerateDataKey"} == set(sns["Action"])
    assert sns["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].endswith(":${AWS::StackName}-AlarmTopic-*")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("DriftFoundRule", ["DriftFound"]), ("RetrainingToldRule", ["RetrainingEnded", "RetrainingWaits"])],
)
def test_what_the_bus_says_is_told_by_name_and_what_cannot_be_told_is_kept(
    name: str, kinds: list[str]
) -> None:
    rule = of_type("AWS::Events::Rule")[name]
    assert rule["EventBusName"] == {"Ref": "EventBus"}
    assert rule["EventPattern"] == {"source": ["streamscore"], "detail-type": kinds}
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "AlarmTopic"}
    transformer = target["InputTransformer"]
    for path in transformer["InputPathsMap"]:
        assert f"<{path}>" in transformer["InputTemplate"]
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}
    kept = resources()["UndeliveredQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert {"Fn::GetAtt": [name, "Arn"]} in kept["Condition"]["ArnEquals"]["aws:SourceArn"]


def test_a_budget_is_made_once_an_amount_is_given_and_tells_the_topic_before_it_is_spent() -> None:
    budget = resources()["MonthlyBudget"]
    assert budget["Condition"] == "HasBudget"
    assert budget["Properties"]["Budget"]["BudgetLimit"]["Amount"] == {"Ref": "MonthlyBudgetUSD"}
    told = budget["Properties"]["NotificationsWithSubscribers"]
    assert [(n["Notification"]["NotificationType"], n["Notification"]["Threshold"]) for n in told] == [
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    ]
    for notification in told:
        assert notification["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": "AlarmTopic"}}]


def test_the_metrics_page_names_an_alarm_where_there_is_one() -> None:
    watched = {a["MetricName"] for a in ALARMS.values() if a.get("Namespace") == "streamscore"}
    assert {metric.name for metric in BY_NAME.values() if metric.alarm} == watched


def test_what_a_drift_message_is_made_of_is_in_the_event() -> None:
    rule = of_type("AWS::Events::Rule")["DriftFoundRule"]
    paths = rule["Targets"][0]["InputTransformer"]["InputPathsMap"].values()
    assert {path.removeprefix("$.detail.") for path in paths} == {"model", "since", "until", "text"}


def test_the_monitor_is_silent_only_after_several_looks_did_not_happen() -> None:
    expression = of_type("AWS::Scheduler::Schedule")["MonitorSchedule"]["ScheduleExpression"]
    (every_min,) = re.fullmatch(r"cron\(\d+/(\d+) \* \* \* \? \*\)", expression).groups()  # type: ignore[union-attr]
    silent = ALARMS["MonitorSilentAlarm"]
    assert silent["Period"] * silent["EvaluationPeriods"] >= 3 * 60 * int(every_min)


def test_the_estimate_knows_what_these_alarms_cost() -> None:
    assert len(ALARMS.keys() - SOMETIMES) + 5 * len(COMPOSITES) == ALARM_MONTHS
