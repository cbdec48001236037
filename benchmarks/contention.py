"""What sharing an entity between shards costs: watermark bytes, and writers that meet at one item.

    python benchmarks/contention.py [--seconds 8] [--delay-ms 5]

First the bytes and write units of a shared item at 1, 16 and 128 live shards, by the real codec. Then lanes
(threads, each a shard with customers of its own) apply batches to one terminal as fast as they can, over
benchmarks/table_server.py with `--delay-ms` in every call; with the terminal kept in one item whatever
happens, and split as it is by itself, into sub-items that every batch reads whole. Lanes are even shards: a
customer's is that of Kinesis's hash. All lanes share this process and its cores: compare the rows of one run.
"""

import argparse
import os
import threading
import time
from dataclasses import dataclass
from itertools import count

from table_server import serving

from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from stream_features.events import Event, event_hash
from stream_features.protocol import apply_delivery
from stream_features.sharing import SHARING, Sharing, sub_number
from stream_features.spec import Spec, parse
from stream_features.state import Item, Mark, encode_item, item_key
from stream_features.store import StateTable, run
from stream_features.verdict import ID_BYTES, LABEL_BYTES, REMEMBERED_IDS, Delivery
from streamscore.local.emulator import CREDENTIALS

SEQUENCE = 49590338271490256608559692538361571095921575989136588898
NOW_MS = 1_764_000_000_000
RECORDS = 10
SUB_ITEMS = SHARING.sub_items
NEVER_SPLIT = Sharing(live_shards=10**6)
CUSTOMERS = 50
SPEC: Spec = parse(
    """
[event]
id = "id"
time = "time"
keep = ["amount"]
fields = { amount = "decimal(2)" }
[entities]
customer = "customer"
terminal = "terminal"
[[feature]]
name = "customer_sum_{window}"
entity = "customer"
op = "sum"
of = "amount"
windows = ["1d"]
[[feature]]
name = "terminal_sum_{window}"
entity = "terminal"
op = "sum"
of = "amount"
windows = ["1d"]
"""
)


def sizes() -> None:
    """Bytes and write units of a shared item with 64 ids, 8 labels and a blob of 400 bytes."""
    print("| live shards | watermark bytes | item bytes | write units | 16 sub-items: units a write |")
    print("|---|---|---|---|---|")
    for shards in (1, 16, 128):
        whole = _item_bytes(shards)
        split = _item_bytes(max(1, shards // SUB_ITEMS))
        print(f"| {shards} | {whole[0]:,} | {whole[1]:,} | {-(-whole[1] // 1024)} | {-(-split[1] // 1024)} |")


def _item_bytes(shards: int) -> tuple[int, int]:
    packed = SEQUENCE.to_bytes((SEQUENCE.bit_length() + 7) // 8)
    others = tuple(Mark(shard, packed, 0, NOW_MS // 1000) for shard in range(1, shards))
    ids, labels = bytes(REMEMBERED_IDS * ID_BYTES), bytes(8 * LABEL_BYTES)
    item = Item(
        1, mark=(SEQUENCE, 0), arrival_ms=NOW_MS, other_marks=others, ids=ids, labels=labels, blob=bytes(400)
    )
    w, s = encode_item(item, 0, NOW_MS)
    return len(w), len(w) + len(s) + len("terminal#12345") + len("pkvwsttl") + 2 * 8


@dataclass
class Tally:
    """What a lane did."""

    done: int = 0
    unfinished: int = 0
    conflicts: int = 0
    slowest_s: float = 0.0


def lane(shard: tuple[int, int], terminal: str, wire: Wire, end_s: float, sharing: Sharing) -> Tally:
    """Batches of RECORDS events of the nth of so many shards, one after another, each till it is done."""
    tally, dynamodb = Tally(), DynamoDB(wire)
    number, customers = shard[0], _customers(*shard)
    sequences = count(SEQUENCE)
    while time.monotonic() < end_s:
        delivery = _delivery(number, customers, terminal, [next(sequences) for _ in range(RECORDS)])
        began_s, finished = time.monotonic(), False
        while not finished and time.monotonic() < end_s:
            invocation_end_s = time.monotonic() + 60
            store = StateTable(dynamodb, "state", lambda at=invocation_end_s: (at - time.monotonic()) * 1000)
            applied = run(apply_delivery(SPEC, delivery, time.time_ns() // 1_000_000, sharing), store)
            finished = applied.unfinished is None
            tally.conflicts += applied.conflicts
            tally.unfinished += not finished
        tally.done += finished
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began_s)
    return tally


def _customers(number: int, lanes: int) -> list[str]:
    """Some whose partition key belongs to the nth of so many even shards."""
    names = (f"c{n}" for n in count())
    mine = (name for name in names if sub_number(name, Sharing(0, lanes)) == number)
    return [next(mine) for _ in range(CUSTOMERS)]


def _delivery(shard: int, customers: list[str], terminal: str, sequences: list[int]) -> Delivery:
    records = []
    for sequence in sequences:
        name, customer = f"{shard}-{sequence}", customers[sequence % CUSTOMERS]
        ids = (name, event_hash(name))
        records.append(Event(*ids, NOW_MS, NOW_MS, None, (customer, terminal), (1250,), (1250,)))
    keys = [(item_key("customer", r.entities[0]), item_key("terminal", terminal)) for r in records]
    return Delivery(shard, (sequences[0], 0), records, [(sequence, 0) for sequence in sequences], keys)


def contend(wire: Wire, lanes: int, sharing: Sharing, seconds: float) -> list[Tally]:
    """All lanes at once, at one terminal."""
    end_s = time.monotonic() + seconds
    terminal = f"T{lanes}-{sharing.live_shards}"
    tallies: list[Tally] = []

    def work(number: int) -> None:
        tallies.append(lane((number, lanes), terminal, wire, end_s, sharing))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tallies


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--delay-ms", type=float, default=5)
    given = arguments.parse_args()
    os.environ |= CREDENTIALS
    sizes()
    print(f"\nBatches of {RECORDS} events, {given.delay_ms:g} ms a call, {given.seconds:g} s each\n")
    print("| lanes | the terminal | batches/s | conflicts a batch | unfinished | slowest batch |")
    print("|---|---|---|---|---|---|")
    with serving() as (endpoint, delay):
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        delay(given.delay_ms)
        wire = Wire()
        for lanes in (1, 8, 16, 32):
            rows(wire, lanes, given.seconds)


def rows(wire: Wire, lanes: int, seconds: float) -> None:
    """So many lanes at one item, and as it is by itself if that splits it."""
    for sharing in (NEVER_SPLIT, SHARING):
        if sharing is NEVER_SPLIT or lanes > SHARING.live_shards:
            kind = "one item" if sharing is NEVER_SPLIT else f"main and {SUB_ITEMS} sub-items"
            tallies = contend(wire, lanes, sharing, seconds)
            done = sum(t.done for t in tallies)
            conflicts, unfinished = sum(t.conflicts for t in tallies), sum(t.unfinished for t in tallies)
            slowest_s = max(t.slowest_s for t in tallies)
            print(
                f"| {lanes} | {kind} | {done / seconds:.1f} | {conflicts / max(done, 1):.2f} | "
                f"{unfinished / max(done + unfinished, 1):.1%} | {slowest_s:.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
