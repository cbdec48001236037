"""Everything `streamscore estimate` says of a workload, as one value. Pure."""

from dataclasses import dataclass

from streamscore.estimate.answers import Api, Stream, api, stream
from streamscore.estimate.bill import Bill, bill
from streamscore.estimate.ceilings import Ceiling, ceilings
from streamscore.estimate.choices import SCALES, Choice, Scale, advice, choices, scaled
from streamscore.estimate.flow import Flow, Lanes, flow, lanes_for
from streamscore.estimate.price_file import PriceTable
from streamscore.estimate.workload import Workload


@dataclass(frozen=True, slots=True)
class Estimate:
    """A month of a workload."""

    workload: Workload
    prices: PriceTable
    lanes: Lanes
    mean: Flow
    bill: Bill
    stream: Stream
    api: Api
    ceilings: list[Ceiling]
    choices: list[Choice]
    scales: list[Scale]
    advice: str

    @property
    def first_quota(self) -> Ceiling:
        """What binds first: its rate is the throughput ceiling."""
        return self.ceilings[0]


def estimate(workload: Workload, table: PriceTable | None = None) -> Estimate:
    """The estimate at these prices, by default the built-in ones."""
    table = table or PriceTable()
    lanes = lanes_for(workload)
    return Estimate(
        workload=workload,
        prices=table,
        lanes=lanes,
        mean=flow(workload, workload.events_per_s, lanes),
        bill=bill(workload, table.prices, lanes),
        stream=stream(workload),
        api=api(workload, table.prices),
        ceilings=ceilings(workload),
        choices=choices(workload, table.prices),
        scales=[scaled(workload, factor, table.prices) for factor in SCALES],
        advice=advice(workload, table.prices),
    )
