"""What the monitor counted in all its windows: equal for equal decisions and labels, but for latencies."""

from monitor.baseline import layout_of
from monitor.labelled import LABELS
from monitor.sketch import total
from monitor.store import Store
from monitor.tally import nothing
from streamscore.local.stack import Stack

_OUTPUTS = ("MonitorTableName", "DataBucketName", "PointerPrefix")


def counted(stack: Stack) -> dict[str, list[int]]:
    """The champion's counts over all windows, section by section; labels of all days together."""
    clients = (stack.client("dynamodb"), stack.client("s3"), stack.client("ssm"))
    table, bucket, prefix = (stack.outputs[name] for name in _OUTPUTS)
    store = Store(table, bucket, prefix, clients)
    champion = store.pointed().champion or ""
    bundle = store.bundle(champion)
    if bundle is None:
        return {}
    tally = nothing(layout_of(bundle))
    for stored in store.windows(champion, "0", "9", tally.decided.layout):
        tally += stored.tally
    decided = {f"decided {name}": tally.decided.part(name) for name in tally.decided.layout.sections}
    labels = total(LABELS, tally.labels.values())
    found = decided | {f"labelled {name}": labels.part(name) for name in LABELS.sections}
    return {name: cells.tolist() for name, cells in found.items() if name != "decided latency"}
