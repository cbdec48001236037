"""A bundle before it becomes a champion or a challenger: found, opened, and put to the gate of its stack."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from common.errors import InvalidInputError, ModelRefusedError
from scoring import policy_file
from scoring.bundle import sha256, trained_until
from scoring.model import Model
from scoring.pointers import CHAMPION, NOTHING, Pointer, Version
from scoring.policy import Policy
from stream_features.values import rfc3339_ms
from streamscore.backtest.again import Known
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Labels
from streamscore.decided.decisions_log import Stack, decisions_log
from streamscore.decided.stored import Decided
from streamscore.parity import served
from streamscore.policies.published import Place, in_use
from streamscore.promotion import gate
from streamscore.promotion.gate import Check, Load
from streamscore.training import bundles, pointers

_LOOK_BACK_MS = 90 * 86_400_000
"""Decisions of so long are compared; the log is read no further back."""
_OPENINGS, _ROWS = 3, 200


class Candidate(NamedTuple):
    """A registered bundle, opened, and its two files."""

    version: Version
    model: Model
    bundle_json: bytes
    onnx: bytes


def candidate(stack: Stack, version: str) -> Candidate:
    """The registered bundle of that version; InvalidInputError if there is none, ModelRefusedError if what
    lies there does not hold together.
    """
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    found = bundles.stored(s3, bucket, version)
    if found is None:
        raise InvalidInputError(
            f"{version}: neither a folder here nor a version registered in the stack; `streamscore models` "
            "lists those that are"
        )
    bundle_json, onnx = found
    model = Model.load(bundle_json, onnx)
    return Candidate(Version(model.version, sha256(bundle_json)), model, bundle_json, onnx)


def without_traffic(stack: Stack, asked: Candidate) -> list[Check]:
    """The checks that need no decisions: what a challenger must pass, and a first champion."""
    bundle = asked.model.bundle
    return [
        gate.conversion(bundle),
        gate.features(bundle, served.running_spec(stack)),
        gate.budget(load_of(asked), policy(stack).gate),
    ]


def whole_gate(stack: Stack, asked: Candidate, now_ms: int) -> list[Check]:
    """All checks: what a new champion must pass."""
    return [*without_traffic(stack, asked), *against_champion(stack, asked, now_ms)]


def recorded(stack: Stack, now_ms: int) -> Iterator[Decided]:
    """The decisions that models are compared on, and learn from."""
    return decisions_log(stack, now_ms - _LOOK_BACK_MS)


def against_champion(stack: Stack, asked: Candidate, now_ms: int) -> list[Check]:
    """The checks that compare it with the champion on recorded decisions; none where there is no champion."""
    pointer = champion(stack)
    if pointer is None:
        return []
    labels = compared(stack, asked.model, pointer.version, now_ms)
    if labels is None:
        seen = f"the champion {pointer.version} cannot be read, so nothing can be compared with it"
        return [Check("coverage", False, seen, "go back with `streamscore rollback`, or use --force")]
    found = gate.coverage(labels, policy(stack).gate, pointer.version)
    return [found, *gate.performance(labels)] if found.held else [found]


def compared(stack: Stack, model: Model, champion: str, now_ms: int) -> Labels | None:
    """What matured labels say of the champion's decisions and of the model in its place: of events after both
    models' training. None if the champion's bundle cannot be read.
    """
    try:
        found = bundles.find(stack.client("s3"), stack.outputs["DataBucketName"], champion)
    except ModelRefusedError:
        found = None
    if found is None:
        return None
    unseen_ms = max(rfc3339_ms(trained_until(bundle), "trained until") for bundle in (found[1], model.bundle))
    log = recorded(stack, now_ms)
    fair = (one for one in log if one.decision.model == champion and one.decision.event_time_ms >= unseen_ms)
    return backtest(fair, known(stack), model, policy(stack)).labels


def known(stack: Stack) -> Known:
    """What is needed to decide again with another model and policy: the specs that are published."""
    return Known(lambda sha: served.specs(stack, [sha]).get(sha), lambda _: None, lambda _: None)


def load_of(asked: Candidate) -> Load:
    """What it weighs, and what it costs here: the least CPU time of a few openings, the mean of many rows."""
    row = asked.model.medians()[np.newaxis, :]
    openings = [cpu_ms(lambda: Model.load(asked.bundle_json, asked.onnx)) for _ in range(_OPENINGS)]
    cpu_ms(lambda: asked.model.scores(row), _ROWS // 10)  # the first are slower
    return Load(len(asked.onnx), min(openings), cpu_ms(lambda: asked.model.scores(row), _ROWS))


def cpu_ms(work: Callable[[], object], times: int = 1) -> float:
    """CPU time of this process for a call, the mean of so many, in ms."""
    start_s = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start_s) * 1000 / times


def champion(stack: Stack) -> Pointer | None:
    """The champion's pointer; None if there is none, or none that can be read, or it points to nothing."""
    try:
        pointer = pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"], CHAMPION)
    except ModelRefusedError:
        return None
    return None if pointer is None or pointer.current == NOTHING else pointer


def policy(stack: Stack) -> Policy:
    """The policy in use."""
    return policy_file.parse(in_use(Place.of(stack)).text, "the policy in use")
