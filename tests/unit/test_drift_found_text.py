"""What a drift message says to people."""

from dataclasses import replace

from monitor.judge import Finding, Verdict
from monitor.notice import TOLD, text

AMOUNT = Finding(
    name="amount",
    kind="psi",
    value=0.4123,
    noise=0.021,
    baseline=52.123,
    now=78.25,
    psi=0.4123,
    retrain=False,
    since="2026-11-28T10:00:00Z",
    until="2026-11-28T11:00:00Z",
)


def test_it_names_the_feature_and_what_became_of_it() -> None:
    missing = replace(AMOUNT, name="device", kind="missing", value=0.5, noise=0.01, baseline=0.0, now=0.5)
    assert text(Verdict(True, (AMOUNT, missing))) == (
        "amount: psi 0.412 (noise 0.021), from 52.12 to 78.25; "
        "device: missing 0.5 (noise 0.01), from 0 to 0.5."
    )


def test_it_says_when_to_train_again() -> None:
    assert text(Verdict(True, (AMOUNT, replace(AMOUNT, retrain=True)))).endswith("; retraining is advised.")


def test_it_never_says_to_learn_what_a_broken_feed_brings() -> None:
    broken = (replace(AMOUNT, retrain=True), replace(AMOUNT, kind="missing"))
    assert "retraining" not in text(Verdict(True, broken))


def test_a_world_that_changed_altogether_is_told_in_a_line() -> None:
    many = tuple(replace(AMOUNT, name=f"feature_{i}") for i in range(TOLD + 5))
    told = text(Verdict(True, many))
    assert f"feature_{TOLD - 1}:" in told
    assert f"feature_{TOLD}:" not in told
    assert told.endswith("; and 5 more.")
