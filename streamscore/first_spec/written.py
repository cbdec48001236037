"""A first features.toml from guesses, each with a comment that says why."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from streamscore.first_spec.guesses import Guesses

WINDOWS = ("1d", "7d", "30d")


def written(guesses: Guesses, sample: str) -> str:
    """The text of a spec."""
    lines = [
        f"# A first spec, guessed from {sample}: look at each `# guess:`, then try `streamscore check`.",
        *_event(guesses),
        "",
        "[entities]  # the first is the primary entity: the stream's partition key",
        *(f"{name} = {_text(field)}  # guess: {why}" for name, field, why in _entities(guesses)),
        *_features(guesses),
    ]
    return "\n".join(lines) + "\n"


def _event(guesses: Guesses) -> Iterator[str]:
    yield from ("", "[event]")
    yield f"id = {_text(guesses.id.name)}  # guess: {guesses.id.why}"
    yield f"time = {_text(guesses.time.name)}  # guess: {guesses.time.why}"
    if guesses.label:
        yield f"label = {_text(guesses.label.name)}  # guess: {guesses.label.why}"
        yield 'label_known_after = "7d"  # guess: put the time that your labels really take'
    if guesses.amount:
        yield f"keep = [{_text(guesses.amount)}]  # guess: what rules and reports will want to see"
    if guesses.fields:
        yield from ("", "[event.fields]")
    for field in guesses.fields:
        if field.kind:
            yield f"{_key(field.name)} = {_text(field.kind)}  # guess: {field.why}"
        else:
            yield f"# {_key(field.name)} is left out: {field.why}"


@dataclass
class _Names:
    """Names of features: each once, and none of a column that a FEATURES file has already."""

    taken: set[str]

    def new(self, stem: str, windows: tuple[str, ...] = ()) -> str:
        """A free name that begins with `stem`, with {window} in it if there are windows."""
        plain = re.sub(r"^(?=\d)", "_", re.sub(r"[^A-Za-z0-9_]", "_", stem))
        while (found := {f"{plain}_{window}" for window in windows} or {plain}) & self.taken:
            plain += "_"
        self.taken |= found
        return plain + "_{window}" * bool(windows)


def _features(guesses: Guesses) -> Iterator[str]:
    entities = [name for name, _, _ in _entities(guesses)]
    columns = {guesses.id.name, guesses.time.name, *(entity.name for entity in guesses.entities)}
    names = _Names(columns | ({guesses.label.name} if guesses.label else set()))
    yield from _block(names.new("is_weekend"), 'op = "is_weekend"')
    yield from _block(names.new("is_night"), 'op = "hour_between"', "hours = [0, 6]  # guess: in UTC")
    if guesses.amount:
        yield from _block(names.new(guesses.amount), 'op = "value"', f"of = {_text(guesses.amount)}")
    for entity in entities:
        yield from _windowed(names, entity, "count", "")
        if guesses.amount:
            yield from _windowed(names, entity, "mean", guesses.amount)
        if guesses.label:
            yield from _windowed(
                names,
                entity,
                "label_rate",
                "",
                'delay = "7d"  # guess: as label_known_after',
                "default = 0.0",
            )
    yield from _block(
        names.new(f"{entities[0]}_since_last"), 'op = "since_last"', f'entity = "{entities[0]}"'
    )
    for other in entities[1:2]:
        yield from _windowed(names, entities[0], "distinct", other)


def _windowed(names: _Names, entity: str, op: str, of: str, *more: str) -> Iterator[str]:
    name = names.new("_".join(part for part in (entity, of, op) if part), WINDOWS)
    of_lines = [f"of = {_text(of)}"] if of else []
    windows = f"windows = {json.dumps(WINDOWS)}"
    yield from _block(name, f'op = "{op}"', f'entity = "{entity}"', *of_lines, windows, *more)


def _block(name: str, *lines: str) -> Iterator[str]:
    yield from ("", "[[feature]]", f"name = {_text(name)}", *lines)


def _entities(guesses: Guesses) -> list[tuple[str, str, str]]:
    """Names, columns and reasons of the entities; a name is the column's without "id", where that is free."""
    taken, found = {field.name for field in guesses.fields}, []
    for place, entity in enumerate(guesses.entities):
        stem = re.sub(r"(_?(id|ID|Id|no|num|number|key))$", "", entity.name)
        name = re.sub(r"\W", "_", stem, flags=re.ASCII).lower()
        if not re.match(r"^[a-z][a-z0-9_]*$", name) or name in taken:
            name = f"entity_{place + 1}"
        taken.add(name)
        found.append((name, entity.name, entity.why))
    return found


def _text(text: str) -> str:
    """A TOML string; JSON's are, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.match(r"^[A-Za-z0-9_-]+$", name) else _text(name)
