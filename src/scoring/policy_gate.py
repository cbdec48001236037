"""What a policy asks of a model before it may become the champion: the table `[gate]`. Pure."""

from scoring.policy import Gate
from scoring.policy_watch import count_of, number_of, table_of
from stream_features.spec_source import Source


def gate(source: Source) -> Gate:
    """The table, defaults where it says nothing; InvalidInputError names the line and the remedy."""
    table, usual = table_of(source, "gate"), Gate()
    table.known_keys(usual._fields)
    given = [key for key in ("model_mb", "load_ms", "row_ms") if key in table.content]
    numbers = {key: number_of(table, key, 0, 100_000) for key in given}
    labels = count_of(table, "matured_labels", usual.matured_labels)
    return usual._replace(matured_labels=labels, **numbers)
