"""Every metric the system emits: one table. `docs/metrics.md` is made from it; emitting any other is a bug.

Dimensions are always `service` and `stage`, nothing else: CloudWatch bills each distinct pair of values.
"""

from dataclasses import dataclass

from common.pricing import COMPONENTS


@dataclass(frozen=True, slots=True)
class Metric:
    """A name (a past fact), its CloudWatch unit, the services that emit it, and what one data point means."""

    name: str
    unit: str
    services: str
    meaning: str
    alarm: str = ""


SERVICES = ("stream_features", "scoring", "scoring_api", "monitor", "monitor_schedule", "retrain")
"""All that emit."""
_ALL = "all"
_FEATURES = "stream_features"
_SCORING = "scoring, scoring_api"
_MONITOR = "monitor"
_SCHEDULE = "monitor_schedule"
_RETRAIN = "retrain"

METRICS: tuple[Metric, ...] = (
    Metric(
        "EventsReceived", "Count", _FEATURES, "Event records in the batch, before any is refused or dropped."
    ),
    Metric(
        "LabelsReceived", "Count", _FEATURES, "Label records in the batch, before any is refused or dropped."
    ),
    Metric(
        "EventsApplied", "Count", _FEATURES, "Events whose feature row became durable in this invocation."
    ),
    Metric("LabelsApplied", "Count", _FEATURES, "Labels folded into their entities in this invocation."),
    Metric(
        "DuplicatesDropped", "Count", _FEATURES, "Records known from another position: a producer's repeats."
    ),
    Metric(
        "RecordsBeforeCutover",
        "Count",
        _FEATURES,
        "Records not later than the cut-over mark of `load-state --until`: the loaded states hold them.",
    ),
    Metric("RecordsReplayed", "Count", _FEATURES, "Records already applied, delivered again after a retry."),
    Metric(
        "RecordsQuarantined",
        "Count",
        _FEATURES,
        "Records that can never be applied, written to quarantine.",
        "> 0",
    ),
    Metric("RecordsUnfinished", "Count", _FEATURES, "Records returned to Lambda to be delivered again."),
    Metric(
        "StateConflicts",
        "Count",
        _FEATURES,
        "Conditional writes that met another version and were folded again.",
    ),
    Metric("StateItemsWritten", "Count", _FEATURES, "State items written."),
    Metric(
        "FeatureLatency",
        "Milliseconds",
        _FEATURES,
        "From a record's arrival on the stream to its durable feature row.",
    ),
    Metric("RowsScored", "Count", _SCORING, "Feature rows that went through the model."),
    Metric("DecisionsMade", "Count", _SCORING, "Decisions stored for the first time."),
    Metric("DecisionsApproved", "Count", _SCORING, "Of those, approved."),
    Metric("DecisionsReviewed", "Count", _SCORING, "Of those, sent to review."),
    Metric("DecisionsBlocked", "Count", _SCORING, "Of those, blocked."),
    Metric(
        "DecisionsRepeated",
        "Count",
        _SCORING,
        "Rows whose decision was already stored: a replay, nothing changed.",
    ),
    Metric(
        "DecisionsPublished",
        "Count",
        _SCORING,
        "Reviews and blocks published to the event bus (at least once).",
    ),
    Metric(
        "DecisionsDeferred",
        "Count",
        _SCORING,
        "Reviews and blocks that the event bus did not take: kept in a queue, published later (an alarm "
        "watches the queue).",
    ),
    Metric(
        "DecisionLatency",
        "Milliseconds",
        _SCORING,
        "From an event's arrival to its decision's time.",
        "p99 > 5 s (stream), > 0.5 s (API)",
    ),
    Metric("LabelsStored", "Count", _SCORING, "Labels written onto a decision, or as a stub before it."),
    Metric(
        "FeaturesMissing",
        "Count",
        _SCORING,
        "Rows decided by fallback: the spec lacks a feature of the model.",
        "> 0",
    ),
    Metric(
        "ScoresMissing",
        "Count",
        _SCORING,
        "Rows decided by fallback: the model gave no number for them.",
        "> 0",
    ),
    Metric(
        "ModelMissing",
        "Count",
        _SCORING,
        "Rows decided by fallback: no model was promoted, or none could be loaded.",
        "> 0",
    ),
    Metric(
        "ModelSwapped", "Count", _SCORING, "Times a newly named bundle (champion, challenger) came into use."
    ),
    Metric(
        "ModelRejected",
        "Count",
        _SCORING,
        "Times a bundle (champion, challenger) failed its check and the running one stayed.",
        "> 0",
    ),
    Metric("PolicySwapped", "Count", _SCORING, "Times a newly published policy came into use."),
    Metric(
        "PolicyRefused",
        "Count",
        _SCORING,
        "Times a policy failed its check and the running one stayed.",
        "> 0",
    ),
    Metric(
        "PointerReadFailed",
        "Count",
        _SCORING,
        "Times the pointers, or what one names, could not be read and all was kept as it was.",
        "> 0 for 15 minutes",
    ),
    Metric(
        "ChallengerFailed", "Count", _SCORING, "Rows the challenger could not score; decided all the same."
    ),
    Metric(
        "ChallengerAgreed",
        "Count",
        _SCORING,
        "Decisions made for the first time that would have been the same with the challenger as champion.",
    ),
    Metric("ChallengerFlips", "Count", _SCORING, "Those that would have been others."),
    Metric(
        "ChallengerAlerts",
        "Count",
        _SCORING,
        "Those the challenger would have reviewed or blocked; compare DecisionsReviewed + DecisionsBlocked.",
    ),
    Metric("WindowsClosed", "Count", _MONITOR, "Tumbling windows written to monitor-windows."),
    Metric(
        "WindowsClosedEarly",
        "Count",
        _MONITOR,
        "Of those, ended by Lambda before their time (state near its bound).",
    ),
    Metric("DecisionsCounted", "Count", _MONITOR, "Decisions added to a sketch, at a window's end."),
    Metric(
        "LabelsCounted",
        "Count",
        _MONITOR,
        "Labels added to a sketch, corrections included, at a window's end.",
    ),
    Metric(
        "ScorePsi",
        "None",
        _SCHEDULE,
        "PSI of the champion's scores against their reference, over the last hour of windows.",
    ),
    Metric(
        "WorstFeaturePsi",
        "None",
        _SCHEDULE,
        "Greatest PSI of any of its features, likewise; which one is the log's `worst_feature`.",
    ),
    Metric(
        "ScoreDrifted",
        "None",
        _SCHEDULE,
        "1 if the scores, the prediction rate, or the label rate of matured decisions are past a threshold "
        "of `[drift.alert]` or `[performance.alert]` and beyond noise, else 0.",
        "> 0",
    ),
    Metric(
        "FeaturesDrifted",
        "None",
        _SCHEDULE,
        "Features past a threshold of `[drift.alert]` and beyond noise; which: the log's `features_drifted`.",
        "> 0",
    ),
    Metric(
        "ModelAgeDays",
        "None",
        _SCHEDULE,
        "Days since the end of what the champion was trained on; once an hour.",
        "> ModelAgeDaysMost (90)",
    ),
    Metric(
        "RocAuc",
        "None",
        _SCHEDULE,
        "ROC AUC of the decisions of the last `[performance] days` whose labels have matured; once an hour.",
    ),
    Metric("AveragePrecision", "None", _SCHEDULE, "Their average precision."),
    Metric(
        "PerformanceDropped",
        "None",
        _SCHEDULE,
        "1 if that ROC AUC is below the bundle's own by more than `[performance.alert]` and noise, else 0.",
        "> 0",
    ),
    Metric(
        "RetrainingAdvised",
        "None",
        _SCHEDULE,
        "1 if something is past a threshold of `[drift.retrain]` or `[performance.retrain]`, else 0.",
        "> 0",
    ),
    Metric(
        "CostPerMillionUSD",
        "None",
        _SCHEDULE,
        "What the functions metered in the hour, for a million decisions; once an hour, if it had enough.",
    ),
    Metric(
        "CostOverBudget",
        "None",
        _SCHEDULE,
        "1 if that is above `[cost] per_million_usd`, else 0; nothing without a budget.",
        "> 0",
    ),
    Metric("DataQualityScore", "None", _RETRAIN, "Quality score, 0 to 1, of a new file under `raw-data/`."),
    Metric(
        "FeatureDrift",
        "None",
        _RETRAIN,
        "Greatest PSI of any feature of a new file's rows against the champion's baseline.",
    ),
    Metric("ProcessedRows", "Count", _RETRAIN, "Rows of new files that were read."),
    Metric("DataRejected", "Count", _RETRAIN, "New files that nothing is trained on: below the threshold."),
    Metric("ModelsPromoted", "Count", _RETRAIN, "New models that a run of retraining made the champion."),
    Metric(
        "ModelsRefused",
        "Count",
        _RETRAIN,
        "New models that did not show what was asked, by gate or in shadow.",
    ),
    Metric(
        "ModelsRolledBack",
        "Count",
        _RETRAIN,
        "Champions that regressed in their probation and were replaced by the model before.",
        "> 0",
    ),
    Metric("ColdStarts", "Count", _ALL, "First invocation of an execution environment."),
    Metric(
        "InitDuration", "Milliseconds", _ALL, "From process start to a handler ready to be called; billed."
    ),
    Metric("InvocationsFailed", "Count", _ALL, "Invocations that raised."),
    Metric("EstimatedCostUSD", "None", _ALL, "What the invocation cost, by list price."),
    Metric(
        "WastedCostUSD",
        "None",
        _ALL,
        "Of that, for invocations that raised, and the part of those that returned records unfinished.",
    ),
    Metric(
        "CapacityUnitsEstimated",
        "Count",
        _ALL,
        "Capacity units that DynamoDB named in no answer: computed from item sizes.",
    ),
    *(
        Metric(f"{part}CostUSD", "None", _ALL, f"Of the estimated cost, {part}'s part.")
        for part in COMPONENTS
    ),
)
BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}


def to_markdown(metrics: tuple[Metric, ...] = METRICS) -> str:
    """The page `docs/metrics.md`."""
    head = (
        "# Metrics\n\n"
        "Made from the table in `src/common/metrics.py` (`python -m common.metrics > docs/metrics.md`); "
        "a test checks that it is current.\n"
        "Namespace `streamscore`; dimensions `service` and `stage`. "
        "What has many values (model version, request id) is a log property, never a dimension.\n\n"
        "| metric | unit | service | one data point is | alarm |\n|---|---|---|---|---|\n"
    )
    rows = (f"| `{m.name}` | {m.unit} | {m.services} | {m.meaning} | {m.alarm} |\n" for m in metrics)
    return head + "".join(rows)


if __name__ == "__main__":
    import sys

    sys.stdout.write(to_markdown())
