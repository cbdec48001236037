"""Any decision that scoring could have stored, for property tests."""

from typing import Any

from hypothesis import strategies as st

from scoring.items import Challenged, Decision
from scoring.policy import ACTIONS, Verdict
from scoring.reasons import Reason
from streamscore.decided.stored import Decided

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
times = st.integers(1_700_000_000_000, 1_900_000_000_000)
scores = st.integers(0, 1_000_000).map(lambda millionths: millionths / 1_000_000)
float32s = st.floats(-1e6, 1e6, width=32)
values: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda s: {"S": s}, st.text(max_size=5)),
    st.builds(lambda n: {"N": str(n)}, st.integers(-99, 99)),
    st.builds(lambda b: {"BOOL": b}, st.booleans()),
)
_reasons = st.builds(
    Reason,
    texts,
    st.none() | float32s.map(float),
    st.none() | float32s.map(float),
    st.floats(0.0001, 9).map(lambda c: round(c, 4)),
    texts,
)
_scored = st.tuples(scores, st.lists(_reasons, max_size=3), st.just(""), texts)
_unscored = st.tuples(
    st.none(), st.just(()), st.sampled_from(["no_model", "features_missing"]), st.none() | texts
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    score, reasons, absent, model = draw(st.one_of(_scored, _unscored))
    challenger = draw(st.none() | st.builds(Challenged, texts, scores, st.sampled_from(ACTIONS)))
    return Decision(
        id=draw(texts),
        entity=draw(texts),
        event_time_ms=draw(times),
        arrival_ms=draw(times),
        scored_at_ms=draw(times),
        score=score,
        verdict=Verdict(
            draw(st.sampled_from(ACTIONS)),
            tuple(draw(st.lists(texts, max_size=2))),
            draw(st.none() | scores),
        ),
        reasons=tuple(reasons),
        absent=absent,
        model=model,
        policy=draw(texts),
        spec_sha=draw(texts),
        features=draw(st.binary(max_size=12)),
        kept=draw(st.dictionaries(texts, values, max_size=3)),
        trace=draw(st.none() | texts),
        source=draw(st.sampled_from(["stream", "api"])),
        entities=draw(st.dictionaries(texts, texts, max_size=2)),
        challenger=challenger,
    )


@st.composite
def decided(draw: st.DrawFn) -> Decided:
    label = draw(st.none() | st.tuples(st.booleans(), times))
    return Decided(
        draw(decisions()),
        label=label[0] if label else None,
        label_time_ms=label[1] if label else None,
        second_path_score=draw(st.none() | scores),
        cut=tuple(draw(st.lists(st.sampled_from(["kept", "rules"]), unique=True))),
    )
