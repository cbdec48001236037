"""The monitor's reads and writes: bundles, specs and policies on S3, `monitor-windows`, the pointers."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from common import aws
from common.errors import InvalidInputError, ModelRefusedError, TransientError
from common.pricing import item_bytes
from common.settings import Settings, code_root
from common.telemetry import logger, meter
from monitor.baseline import Columns, Model, layout_of
from monitor.decided import Layout
from monitor.images import NO_MODEL
from monitor.labelled import LABELS
from monitor.sketch import decode, encode, fits
from monitor.tally import Stored, Tally, Who
from monitor.windows import CHALLENGER, Item
from scoring import bundle as bundles
from scoring import pointers, policy_file
from scoring.bundle import Bundle
from scoring.objects import Specs, object_reader, pointer_reader
from scoring.policy import Policy
from stream_features.spec import Spec

KEEP_DAYS = 400
ATTEMPTS = 5
REREAD_S = 60.0
"""So long the policy is not asked for again while windows are counted."""


class Pointed(NamedTuple):
    """Versions that the pointers name; None where one names nothing."""

    champion: str | None
    challenger: str | None
    policy: str | None


class Store:
    """One stack's monitoring data. Bundles and policies are content-addressed: one that was read is kept."""

    def __init__(self, table: str, bucket: str, pointer_prefix: str, clients: tuple[Any, Any, Any]) -> None:
        """`clients` are of DynamoDB, S3 and SSM."""
        self._table, (self._dynamodb, s3, ssm) = table, clients
        self._read = object_reader(s3, bucket)
        self._read_pointers = pointer_reader(ssm, pointer_prefix)
        self._specs = Specs(None, s3, bucket)
        self._bundles: dict[str, Bundle | None] = {}
        self._policies: dict[str | None, Policy] = {}
        self._policy: Policy | None = None
        self._reread_s = float("-inf")

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """With clients of its own, which retry by themselves."""
        dynamodb, s3, ssm = (aws.client(service, ATTEMPTS) for service in ("dynamodb", "s3", "ssm"))
        return cls(settings.monitor_table, settings.data_bucket, settings.pointer_prefix, (dynamodb, s3, ssm))

    def pointed(self) -> Pointed:
        """What the pointers name now."""
        values = self._read_pointers(pointers.ALL)
        found = {name: pointers.decode(value).version or None for name, value in values.items()}
        return Pointed(*(found.get(name) for name in pointers.ALL))

    def policy(self, version: str | None) -> Policy:
        """A published policy; the one that ships if none is named, or what is named cannot be used."""
        if version not in self._policies:
            self._policies[version] = self._shipped() if version is None else self._published(version)
        return self._policies[version]

    def policy_now(self, now_s: float) -> Policy:
        """The policy in use, at most REREAD_S old; the last one known while the pointer cannot be read."""
        if self._policy is None or now_s >= self._reread_s:
            self._reread_s = now_s + REREAD_S
            try:
                self._policy = self.policy(self.pointed().policy)
            except (TransientError, ModelRefusedError) as error:
                logger().warning("the policy's pointer was not read", extra={"error": str(error)})
                self._policy = self._policy or self.policy(None)
        return self._policy

    def bundle(self, version: str) -> Bundle | None:
        """A model version's bundle; None if there is none, or none that this code can read: then there is no
        baseline.
        """
        if version not in self._bundles:
            self._bundles[version] = None if version == NO_MODEL else self._load(version)
        return self._bundles[version]

    def spec(self, bundle: Bundle) -> Spec | None:
        """The spec that a bundle was trained on."""
        return self._specs.get(bundle.spec_sha256)

    def model(self, version: str, spec_shas: Iterable[str] = (), policy: Policy | None = None) -> Model:
        """How to count a model version's decisions on rows of these specs, under a policy."""
        bundle = self.bundle(version)
        if bundle is None:
            return Model()
        columns = {sha: self._columns(bundle, sha) for sha in spec_shas}
        limits = policy.limits(version, bundle.thresholds) if policy else bundle.thresholds
        return Model(layout_of(bundle), columns, limits)

    def write(self, items: Iterable[Item], now_s: float) -> None:
        """Put the items; the same item again changes nothing. TransientError if one is not taken now."""
        for item in items:
            row = _row(item, int(now_s) + KEEP_DAYS * 86_400)
            put = partial(self._dynamodb.put_item, TableName=self._table, Item=row)
            answer = aws.answer_of(partial(put, ReturnConsumedCapacity="TOTAL"))
            if answer is None:
                raise TransientError(f"{self._table}: {item.key} was not written")
            meter().dynamodb_write(answer, items=[item_bytes(row)])

    def windows(self, version: str, since: str, until: str, layout: Layout) -> list[Stored]:
        """What was counted of a model version in windows with since <= start < until (ISO 8601, UTC).

        In order of start; windows counted on other bins (before the version's bundle could be read) are left
        out.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :model AND sk BETWEEN :since AND :until",
            "ExpressionAttributeValues": {
                ":model": {"S": version},
                ":since": {"S": since},
                ":until": {"S": until},
            },
            "ReturnConsumedCapacity": "TOTAL",
        }
        return [
            Stored(row["sk"]["S"].partition("#")[0], Who(version, row["sk"]["S"].endswith(CHALLENGER)), tally)
            for page in self._pages(request)
            for row in page["Items"]
            if (tally := _tally(layout, row)) is not None
        ]

    def _pages(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.query(**request, **start)
            meter().dynamodb_read(page, consistent=False)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _load(self, version: str) -> Bundle | None:
        try:
            return bundles.decode(self._read(pointers.bundle_key(version)))
        except ModelRefusedError:
            return None

    def _shipped(self) -> Policy:
        return policy_file.parse((code_root() / "policy.toml").read_text(encoding="utf-8"))

    def _published(self, version: str) -> Policy:
        try:
            return policy_file.decode(self._read(pointers.policy_key(version)), version)
        except (ModelRefusedError, InvalidInputError) as error:
            logger().warning("a policy cannot be used", extra={"error": str(error), "version": version})
            return self.policy(None)

    def _columns(self, bundle: Bundle, sha: str) -> Columns:
        spec = self._specs.get(sha)
        return bundles.columns(bundle, spec.feature_names, spec.definition_hashes) if spec else None


def _tally(layout: Layout, row: Mapping[str, Any]) -> Tally | None:
    decided = row["sketch"]["B"]
    labels = {day: value["B"] for day, value in row.get("labels", {}).get("M", {}).items()}
    if not fits(layout, decided) or not all(fits(LABELS, data) for data in labels.values()):
        return None
    return Tally(decode(layout, decided), {day: decode(LABELS, data) for day, data in labels.items()})


def _row(item: Item, ttl: int) -> Mapping[str, Mapping[str, Any]]:
    return {
        "pk": {"S": item.who.model},
        "sk": {"S": item.key},
        "role": {"S": "challenger" if item.who.challenger else "champion"},
        "sketch": {"B": encode(item.tally.decided)},
        "labels": {"M": {day: {"B": encode(labels)} for day, labels in sorted(item.tally.labels.items())}},
        "decided": {"N": str(item.tally.decisions)},
        "labelled": {"N": str(item.tally.labelled)},
        "ttl": {"N": str(ttl)},
    }
