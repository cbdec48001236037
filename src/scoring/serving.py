"""What decides now: follows the pointers to champion, challenger and policy without a restart, and never uses
what it has not verified.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.errors import ModelRefusedError, NoAnswerError, TransientError
from common.telemetry import count, logger
from scoring import bundle as bundles
from scoring import pointers, policy_file
from scoring.followed import Counted, Followed
from scoring.model import Model
from scoring.pointers import CHALLENGER, CHAMPION, POLICY, Version
from scoring.policy import Policy
from stream_features.spec import Spec

NO_MODEL = "no_model"
MODEL_UNAVAILABLE = "model_unavailable"

RETRY_S = 5.0
"""Pointers are read again after so long, at most, where there is no model to score with, or a policy to obey,
because it could not be read.
"""

_MODELS = Counted("ModelSwapped", "ModelRejected")
_POLICIES = Counted("PolicySwapped", "PolicyRefused")


@dataclass(frozen=True, slots=True)
class Serving:
    """The model in use, or None and the reason why; the challenger that scores beside it, if any; the
    policy.
    """

    model: Model | None
    absent: str
    challenger: Model | None
    policy: Policy


class Shipped(NamedTuple):
    """What came with the code: the spec that rows are made with, the policy until one is published."""

    spec: Spec
    policy: Policy


def pauses(most_s: float, jitter: Callable[[], float]) -> Callable[[bool], float]:
    """How long until pointers are read again, by whether something is wanting: from 3/4 of the longest pause
    to all of it, as `jitter` in [0, 1) has it, so that many environments do not ask at once.

    >>> pause_s = pauses(60.0, lambda: 0.0)
    >>> pause_s(False), pause_s(True)
    (45.0, 3.75)
    """

    def pause_s(wanting: bool) -> float:
        longest_s = min(RETRY_S, most_s) if wanting else most_s
        return longest_s * (0.75 + 0.25 * jitter())

    return pause_s


class Pointers:
    """What the pointers lead to. All it needs of the world is given: reads of pointers and objects, a clock,
    and how long to wait until the next reading (`pauses`).

    A store that does not answer (NoAnswerError) is not asked for more this time: each read would wait as
    long, and INIT has 10 s.

    `read_pointers(names)` gives the values of those that exist; both reads raise TransientError when they
    cannot tell, and `read_object(key)` ModelRefusedError when there is no such object. The policy that
    `shipped` decides where its pointer leads to nothing. A model that asks for what the spec there does not
    serve is refused, and champion only where there is no other: rows of an earlier spec may have it all.
    """

    def __init__(
        self,
        read_pointers: Callable[[Sequence[str]], dict[str, str]],
        read_object: Callable[[str], bytes],
        shipped: Shipped,
        clock_s: Callable[[], float],
        pause_s: Callable[[bool], float],
    ) -> None:
        self._read_pointers, self._read_object, self._shipped = read_pointers, read_object, shipped
        self._clock_s, self._pause_s = clock_s, pause_s
        self._champion = Followed(CHAMPION, self._served_model, _MODELS, last_resort=self._model)
        self._challenger = Followed(CHALLENGER, self._served_model, _MODELS, in_reserve=False)
        self._policy = Followed(POLICY, self._read_policy, _POLICIES)
        self._silent = False
        self._serving = self._in_use()
        self._read_again_s = float("-inf")

    def current(self) -> Serving:
        """What to decide with, after following the pointers if it is time to; never raises what we
        foresaw.
        """
        if self._clock_s() >= self._read_again_s:
            self._follow()
            self._serving = self._in_use()
            self._read_again_s = self._clock_s() + self._pause_s(self.wanting())
        return self._serving

    def expire(self) -> None:
        """Let the next `current` read the pointers, whenever they were read last."""
        self._read_again_s = float("-inf")

    def _follow(self) -> None:
        """Obey all three pointers as they are now; where they cannot be read, all stays as it is."""
        self._silent = False
        try:
            values = self._read_pointers(pointers.ALL)
        except TransientError as error:
            count("PointerReadFailed")
            logger().warning("pointers not read, kept as they were", extra={"error": str(error)})
            return
        for followed in (self._champion, self._challenger, self._policy):
            followed.follow(values.get(followed.name))

    def wanting(self) -> bool:
        """Whether something needed to decide as one should is there, but could not be read."""
        return (self._champion.in_use is None and not self._champion.settled) or not self._policy.settled

    def _in_use(self) -> Serving:
        champion, challenger = self._champion.in_use, self._challenger.in_use
        absent = "" if champion else MODEL_UNAVAILABLE if self._champion.named else NO_MODEL
        if champion and challenger and champion.version == challenger.version:
            challenger = None
        return Serving(champion, absent, challenger, self._policy.in_use or self._shipped.policy)

    def _model(self, version: Version) -> Model:
        bundle = self._object(pointers.bundle_key(version.version))
        return Model.load(bundle, self._object(pointers.model_key(version.version)), version.sha256)

    def _served_model(self, version: Version) -> Model:
        model, spec = self._model(version), self._shipped.spec
        wrong = bundles.unserved(model.bundle, spec.feature_names, spec.definition_hashes)
        if wrong:
            raise ModelRefusedError(
                f"model {version.version}: asks for features that this deployment's spec does not define in "
                f"the same way: {', '.join(wrong)}"
            )
        return model

    def _object(self, key: str) -> bytes:
        if self._silent:
            raise NoAnswerError(f"{key}: not asked for, since another was not answered just now")
        try:
            return self._read_object(key)
        except NoAnswerError:
            self._silent = True
            raise

    def _read_policy(self, version: Version) -> Policy:
        data = self._object(pointers.policy_key(version.version))
        found = hashlib.sha256(data).hexdigest()
        if found != version.sha256:
            raise ModelRefusedError(
                f"policy {version.version}: sha256 is {found}, the pointer says {version.sha256}"
            )
        return policy_file.decode(data, version.version)
