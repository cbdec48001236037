"""The monitor's reads and writes: bundles and specs on S3, `monitor-windows`, the champion's pointer."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from scoring.bundle import Bundle

from common.errors import ModelRefusedError
from common.pricing import item_bytes
from common.settings import Settings
from common.telemetry import meter
from monitor.baseline import Columns, Model, columns_of, layout_of
from monitor.images import NO_MODEL
from monitor.sketch import Layout, Sketch, decode, encode, fits
from monitor.windows import Item
from scoring import bundle as bundles
from scoring import pointers
from stream_features import spec_model as specs

KEEP_DAYS = 400
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchBucket"})


class Store:
    """One stack's monitoring data. Bundles and specs are content-addressed, so what was read once is kept."""

    def __init__(self, table: str, bucket: str, dynamodb: Any, s3: Any, ssm: Any) -> None:
        self._table = table
        self._bucket = bucket
        self._dynamodb = dynamodb
        self._s3 = s3
        self._ssm = ssm
        self._bundles: dict[str, Bundle | None] = {}
        self._specs: dict[str, specs.Spec | None] = {}

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """With clients of its own, which retry by themselves."""
        return cls(settings.monitor_table, settings.data_bucket, *map(client, ("dynamodb", "s3", "ssm")))

    def bundle(self, version: str) -> Bundle | None:
        """The bundle of a model version; None where there is none (no model made the decision)."""
        if version == NO_MODEL:
            return None
        if version not in self._bundles:
            data = self._get(pointers.bundle_key(version))
            self._bundles[version] = _readable(data) if data else None
        return self._bundles[version]

    def model(self, version: str, spec_shas: Iterable[str] = ()) -> Model:
        """How to count a model version's decisions on rows of these specs."""
        bundle = self.bundle(version)
        if bundle is None:
            return Model()
        found = {sha: self._spec(sha) for sha in spec_shas}
        places = {
            sha: columns_of(bundle, spec.feature_names, spec.definition_hashes)
            for sha, spec in found.items()
            if spec
        }
        return Model(layout_of(bundle), places)

    def write(self, items: Iterable[Item], now_s: float) -> None:
        """Put the items; the same item again changes nothing."""
        for item in items:
            row = _row(item, int(now_s) + KEEP_DAYS * 86_400)
            answer = self._dynamodb.put_item(TableName=self._table, Item=row, ReturnConsumedCapacity="TOTAL")
            meter().dynamodb_write(answer, items=[item_bytes(row)])

    def windows(self, version: str, since: str, until: str, layout: Layout) -> list[tuple[str, Sketch]]:
        """(start, sketch) of a model version's windows with since <= start < until (ISO 8601, UTC).

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
        found: list[tuple[str, Sketch]] = []
        while True:
            answer = self._dynamodb.query(**request)
            meter().dynamodb_read(answer, consistent=False)
            for row in answer["Items"]:
                if fits(layout, row["sketch"]["B"]):
                    found.append((row["sk"]["S"].partition("#")[0], decode(layout, row["sketch"]["B"])))
            if "LastEvaluatedKey" not in answer:
                return found
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def champion(self, pointer_prefix: str) -> str | None:
        """The version in use; None before the first promotion."""
        answer = self._ssm.get_parameters(Names=[f"{pointer_prefix}/{pointers.CHAMPION}"])
        return next((pointers.decode(found["Value"]).version for found in answer["Parameters"]), None)

    def _columns(self, bundle: Bundle, sha: str) -> Columns:
        spec = self._spec(sha)
        return columns_of(bundle, spec.feature_names, spec.definition_hashes) if spec else None

    def _spec(self, sha: str) -> specs.Spec | None:
        if sha not in self._specs:
            data = self._get(f"specs/{sha}.json") if sha else None
            self._specs[sha] = specs.from_json(data) if data else None
        return self._specs[sha]

    def _get(self, key: str) -> bytes | None:
        meter().s3_get()
        try:
            return bytes(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise


def _readable(data: bytes) -> Bundle | None:
    """None for a bundle of another format: its decisions are counted without a baseline."""
    try:
        return bundles.decode(data)
    except ModelRefusedError:
        return None


def client(service: str) -> Any:
    """A botocore client that retries throttling and 5xx by itself, five times."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=2, read_timeout=10)
    return _session().create_client(service, config=config)


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()


def _row(item: Item, ttl: int) -> Mapping[str, Mapping[str, Any]]:
    return {
        "pk": {"S": item.model},
        "sk": {"S": item.key},
        "sketch": {"B": encode(item.sketch)},
        "decided": {"N": str(item.sketch.decided)},
        "labelled": {"N": str(item.sketch.labelled)},
        "ttl": {"N": str(ttl)},
    }
