"""The monitor's reads and writes: bundles and specs on S3, `monitor-windows`, the champion's pointer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from common import aws
from common.errors import ModelRefusedError
from common.pricing import item_bytes
from common.settings import Settings
from common.telemetry import meter
from monitor.baseline import Columns, Model, layout_of
from monitor.images import NO_MODEL
from monitor.sketch import Layout, Sketch, decode, encode, fits
from monitor.windows import Item
from scoring import bundle as bundles
from scoring import pointers
from scoring.bundle import Bundle
from scoring.objects import Specs, object_reader, pointer_reader

KEEP_DAYS = 400
ATTEMPTS = 5


class Store:
    """One stack's monitoring data. Bundles are content-addressed, so one that was read is kept."""

    def __init__(self, table: str, bucket: str, dynamodb: Any, s3: Any, ssm: Any) -> None:
        self._table, self._dynamodb, self._ssm = table, dynamodb, ssm
        self._read = object_reader(s3, bucket)
        self._specs = Specs(None, s3, bucket)
        self._bundles: dict[str, Bundle | None] = {}

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """With clients of its own, which retry by themselves."""
        clients = (aws.client(service, ATTEMPTS) for service in ("dynamodb", "s3", "ssm"))
        return cls(settings.monitor_table, settings.data_bucket, *clients)

    def champion(self, pointer_prefix: str) -> str | None:
        """The version in use; None before the first promotion."""
        found = pointer_reader(self._ssm, pointer_prefix)([pointers.CHAMPION]).get(pointers.CHAMPION)
        return pointers.decode(found).version if found else None

    def bundle(self, version: str) -> Bundle | None:
        """A model version's bundle; None if there is none, or none that this code can read: then there is no
        baseline.
        """
        if version not in self._bundles:
            self._bundles[version] = None if version == NO_MODEL else self._load(version)
        return self._bundles[version]

    def model(self, version: str, spec_shas: Iterable[str] = ()) -> Model:
        """How to count a model version's decisions on rows of these specs."""
        bundle = self.bundle(version)
        if bundle is None:
            return Model()
        return Model(layout_of(bundle), {sha: self._columns(bundle, sha) for sha in spec_shas})

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
        for page in self._pages(request):
            rows = [(row["sk"]["S"].partition("#")[0], row["sketch"]["B"]) for row in page["Items"]]
            found += [(start, decode(layout, data)) for start, data in rows if fits(layout, data)]
        return found

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

    def _columns(self, bundle: Bundle, sha: str) -> Columns:
        spec = self._specs.get(sha)
        return bundles.columns(bundle, spec.feature_names, spec.definition_hashes) if spec else None


def _row(item: Item, ttl: int) -> Mapping[str, Mapping[str, Any]]:
    return {
        "pk": {"S": item.model},
        "sk": {"S": item.key},
        "sketch": {"B": encode(item.sketch)},
        "decided": {"N": str(item.sketch.decided)},
        "labelled": {"N": str(item.sketch.labelled)},
        "ttl": {"N": str(ttl)},
    }
