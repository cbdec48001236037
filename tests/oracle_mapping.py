"""What a stream mapping does with a function that never takes certain records: recursive, slow and obvious.

No window, no age, no kills: how batches are cut, split, repeated and given up.
"""

from dataclasses import dataclass, field

from streamscore.local.delivery import Rules


@dataclass
class Told:
    """Record numbers of each invocation, and of each batch that was given up."""

    delivered: list[list[int]] = field(default_factory=list)
    given_up: list[list[int]] = field(default_factory=list)


def deliveries(numbers: list[int], rules: Rules, poison: set[int], reports: bool) -> Told:
    """The function raises when it meets `poison`, or reports its first place when it `reports`."""
    told = Told()
    assert rules.max_retries is not None

    def invoke(batch: list[int], failures: int) -> None:
        told.delivered.append(batch)
        bad = [i for i, number in enumerate(batch) if number in poison]
        if not bad or (reports and not rules.reports_failures):
            return
        if reports and bad[0] > 0:  # what is before it is done; with bisect, cutting there is free
            rest = batch[bad[0] :]
            return invoke(rest, failures) if rules.bisects else again(rest, failures)
        if rules.bisects and len(batch) > 1:
            half = len(batch) // 2
            invoke(batch[:half], failures)
            return invoke(batch[half:], failures)
        return again(batch, failures)

    def again(batch: list[int], failures: int) -> None:
        if failures == rules.max_retries:
            told.given_up.append(batch)
        else:
            invoke(batch, failures + 1)

    for start in range(0, len(numbers), rules.batch_size):
        invoke(numbers[start : start + rules.batch_size], 0)
    return told
