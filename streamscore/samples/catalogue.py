"""All sample events by file name; `scripts/make_events.py` writes them to `events/`.

Tests feed them to the handlers, and so does `sam local invoke FUNCTION -e events/NAME.json`.
"""

from datetime import timedelta

from stream_features.spec import Spec
from streamscore.samples.http import api_events
from streamscore.samples.kinesis import kinesis_event, kpl_aggregate
from streamscore.samples.purchases import STARTED, Json, as_json, iso, poisoned, records
from streamscore.samples.retraining import retrain_events
from streamscore.samples.streams import state_stream_event, window_events


def sample_events(spec: Spec) -> dict[str, Json]:
    """The sample events by file name, for the spec that ships."""
    plain = kinesis_event([as_json(record) for record in records()])
    state = state_stream_event(spec, plain)
    return {
        "features-plain.json": plain,
        "features-kpl.json": kinesis_event([kpl_aggregate([as_json(record) for record in records()])]),
        "features-poison.json": kinesis_event(poisoned()),
        "scoring-state-stream.json": state,
        **window_events(spec, state),
        "monitor-schedule.json": {"source": "schedule", "scheduled_time": iso(STARTED + timedelta(hours=1))},
        **retrain_events(),
        **api_events(),
    }
