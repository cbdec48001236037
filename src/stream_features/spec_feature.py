"""The feature half of a spec: one [[feature]] block becomes one feature a window."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from stream_features import spec_advice, timezones
from stream_features.ops import OPS, Op
from stream_features.spec_event import Declared
from stream_features.spec_literals import literal
from stream_features.spec_model import Feature, Field, Scalar
from stream_features.spec_reason import sentence
from stream_features.spec_source import Table, nearest

FEATURE_NAME = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
MAX_LISTED = 1000
TEMPLATE = "{window}"


@dataclass(frozen=True)
class Block:
    """One [[feature]] of the file and what it may refer to."""

    table: Table
    declared: Declared

    def features(self) -> Iterable[Feature]:
        """Its features in the order of its windows, without their hashes; names of features are unchecked."""
        op = self._op()
        self._keys(op)
        for window, window_ms in self._windows(op):
            yield self._feature(op, window, window_ms)

    def refuse(self, message: str, key: str = "") -> NoReturn:
        """Refuse with the feature's name before the message."""
        self.table.refuse(f"feature {self.table.content['name']!r}: {message}", key)

    def _op(self) -> Op:
        self.table.text("name")
        name = self.table.text("op")
        if name not in OPS:
            self.refuse(f"op {name!r} is unknown{nearest(name, OPS)}; use one of {', '.join(OPS)}", "op")
        return OPS[name]

    def _keys(self, op: Op) -> None:
        name, content = self.table.content["op"], self.table.content
        for key in content:
            if key not in op.keys:
                self.refuse(spec_advice.not_taken(name, key), key)
        for key in sorted(op.needs - content.keys()):
            self.refuse(spec_advice.needed(name, key, self.declared))
        if op.labels and self.declared.event.label is None:
            self.refuse(f"{name} counts labels, but [event] names no 'label'", "op")

    def _windows(self, op: Op) -> list[tuple[str, int]]:
        name, content = self.table.content["name"], self.table.content
        templates = [
            key for key in ("of", "to", "std") if TEMPLATE in str(content.get(key)) and op.of == "feature"
        ]
        if "windows" not in content:
            for key in ["name"] * (TEMPLATE in name) + templates:
                self.refuse(f'{key} has {TEMPLATE} in it: add windows = ["1d", "7d"]', key)
            return [("", 0)]
        windows = content["windows"]
        if not isinstance(windows, list) or not windows:
            self.refuse('\'windows\' must be a list such as ["1d", "7d"]', "windows")
        if len(windows) > 1 and TEMPLATE not in name:
            self.refuse("has several windows: put {window} in its name", "name")
        if op.scope == "features" and not templates:
            self.refuse("has windows: put {window} in of, to or std, or leave windows out", "windows")
        return [(str(window), self.table.short_duration("windows", window)) for window in windows]

    def _feature(self, op: Op, window: str, window_ms: int) -> Feature:
        content, derived = self.table.content, op.scope == "features"
        name = content["name"].replace(TEMPLATE, window)
        if not re.match(FEATURE_NAME, name):
            self.refuse("use letters, digits, '_', '.', '-' for a name, a letter or '_' first", "name")
        entity = self._entity()
        references = {
            key: self.table.text(key).replace(TEMPLATE, window) for key in ("to", "std") if key in content
        }
        return Feature(
            name=name,
            op=content["op"],
            hash="",
            entity=entity,
            of=self.table.text("of").replace(TEMPLATE, window) if derived else self._of(op, entity),
            window_ms=0 if derived else window_ms,
            delay_ms=self.table.short_duration("delay", content["delay"]) if "delay" in content else 0,
            default=self._default(),
            hours=self._hours(),
            values=self._values(),
            where=self._where(),
            half_life_ms=self._half_life(),
            timezone=self._timezone(),
            reason=self._reason(window),
            **references,
        )

    def _entity(self) -> str | None:
        if "entity" not in self.table.content:
            return None
        entity, known = self.table.text("entity"), self.declared.entities
        if entity not in known:
            self.refuse(f"no entity {entity!r}{nearest(entity, known)}; known: {', '.join(known)}", "entity")
        return entity

    def _of(self, op: Op, entity: str | None) -> str | None:
        if not op.of:
            return None
        of, name = self.table.text("of"), self.table.content["op"]
        field, other = self.declared.fields.get(of), self.declared.entities.get(of)
        if op.of == "identity":
            own = self.declared.entities[entity or ""]
            if own.field == (field.name if field else other.field if other else ""):
                self.refuse(f"{of!r} is its own entity, so it is always the same; name something else", "of")
            if field is None and other is not None:
                return of
        if field is None:
            self.refuse(self._no_field(op, of), "of")
        if field.kind == "string" and op.of in {"number", "exact"}:
            self.refuse(f"{of!r} is a string, {name} takes a number", "of")
        if field.kind == "float" and op.of != "number":
            self.refuse(f"{name} is exact and {of!r} is a float; declare it decimal(n)", "of")
        return of

    def _no_field(self, op: Op, of: str) -> str:
        fields, entities = self.declared.fields, self.declared.entities
        listed = f"no field {of!r}{nearest(of, fields)}; declared: {', '.join(fields) or 'none'}"
        return f"{listed}; or another entity: {', '.join(entities)}" if op.of == "identity" else listed

    def _default(self) -> float | None:
        if "default" not in self.table.content:
            return None
        default = self.table.content["default"]
        number = isinstance(default, int | Decimal) and not isinstance(default, bool)
        if not number or not abs(float(default)) <= 2**53:
            self.refuse("'default' must be a number within ±2^53", "default")
        return float(default)

    def _hours(self) -> tuple[int, int] | None:
        if "hours" not in self.table.content:
            return None
        hours = self.table.content["hours"]
        whole = isinstance(hours, list) and [type(h) for h in hours] == [int, int]
        if not whole or not all(0 <= h <= 23 for h in hours):
            self.refuse("'hours' must be two whole hours, 0 to 23, both included: hours = [0, 6]", "hours")
        return (hours[0], hours[1])

    def _values(self) -> tuple[Scalar, ...]:
        if "values" not in self.table.content:
            return ()
        listed, field = self.table.content["values"], self.declared.fields[self.table.content["of"]]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_LISTED:
            self.refuse(f"'values' must be a list of 1 to {MAX_LISTED:,} values", "values")
        found = [self._literal(field, value, "values") for value in listed]
        if len(set(found)) != len(found):
            self.refuse("values: one is listed twice", "values")
        return tuple(sorted(found))

    def _where(self) -> tuple[tuple[str, Scalar], ...]:
        if "where" not in self.table.content:
            return ()
        where, fields = self.table.content["where"], self.declared.fields
        if not isinstance(where, dict) or not where:
            self.refuse("'where' must be a table such as { category = \"ecom\" }", "where")
        for name in where:
            if name not in fields:
                known = ", ".join(fields) or "none"
                self.refuse(f"where: no field {name!r}{nearest(name, fields)}; declared: {known}", "where")
        return tuple(sorted((n, self._literal(fields[n], value, "where")) for n, value in where.items()))

    def _literal(self, field: Field, value: Any, key: str) -> Scalar:
        try:
            return literal(field, value)
        except ValueError as error:
            self.refuse(f"{key}: {error}", key)

    def _half_life(self) -> int:
        content = self.table.content
        return self.table.short_duration("half_life", content["half_life"]) if "half_life" in content else 0

    def _reason(self, window: str) -> str:
        if "reason" not in self.table.content:
            return ""
        text = self.table.text("reason")
        try:
            return sentence(text.replace(TEMPLATE, window) if window else text)
        except ValueError as error:
            self.refuse(f"reason: {error}", "reason")

    def _timezone(self) -> str | None:
        if "timezone" not in self.table.content:
            return None
        name = self.table.text("timezone")
        if name not in timezones.names():
            hint = nearest(name, timezones.names()) or ", such as 'Europe/Paris'"
            self.refuse(f"timezone: no zone {name!r} in the IANA database{hint}", "timezone")
        return None if name == "UTC" else name
