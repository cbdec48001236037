"""What both entries to scoring need of a stack, made once a process from what the template says."""

import functools
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.aws import client
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.json_client import JsonClient
from common.settings import Settings
from common.telemetry import meter
from scoring import policy_file
from scoring.bus import Bus
from scoring.decisions import Decisions
from scoring.judge import Judge
from scoring.objects import Specs, object_reader, pointer_reader
from scoring.publisher import Publisher
from scoring.serving import Pointers, Shipped, pauses
from scoring.unpublished import Unpublished
from stream_features import spec as specs
from stream_features.entity_key import entity_key
from stream_features.events import Decoder, decoder
from stream_features.spec import Spec

BUS_TIMEOUT_S = 1.0
"""So long a call to the bus, or to the queue beside it, is waited for: somebody may wait for the decision.
One that is done only later is repeated, which both allow.
"""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts, each with the names of the stack in it."""

    settings: Settings
    spec: Spec
    db: DynamoDB
    specs: Specs
    serving: Pointers
    judge: Judge
    decisions: Decisions
    bus: Bus
    publisher: Publisher

    def decoder(self) -> Decoder:
        """A decoder of the spec's records; reaches for the key of hashed entities where there are some."""
        secrets = functools.partial(client, "secretsmanager", attempts=3)
        return decoder(self.spec, entity_key(self.spec, secrets, self.settings.log_key_secret))


def wire(settings: Settings, code: Path) -> Wiring:
    """Reads `features.toml` and `policy.toml` of the code root, makes the clients; reaches nothing yet."""
    spec = specs.parse((code / "features.toml").read_text(encoding="utf-8"))
    policy = policy_file.parse((code / "policy.toml").read_text(encoding="utf-8"))
    s3: Any = client("s3")
    read_pointers = pointer_reader(client("ssm"), settings.pointer_prefix)
    db = DynamoDB(Wire(), meter)
    bus = Bus(JsonClient("events", read_timeout_s=BUS_TIMEOUT_S), settings.event_bus)
    unpublished = Unpublished(
        functools.cache(lambda: JsonClient("sqs", read_timeout_s=BUS_TIMEOUT_S)), settings.unpublished_queue
    )
    return Wiring(
        settings,
        spec,
        db,
        Specs(spec, s3, settings.data_bucket),
        Pointers(
            read_pointers,
            object_reader(s3, settings.data_bucket),
            Shipped(spec, policy),
            time.monotonic,
            pauses(float(settings.pointers_reread_s), random.random),
        ),
        Judge(),
        Decisions(db, settings.decisions_table),
        bus,
        Publisher(bus, unpublished, time.monotonic, random.random),
    )
