"""Feast's feature-server protocol: its request read, its response written, byte for byte its own.

What differs from Feast's server is what it gets wrong: an unknown member is `NOT_FOUND` whatever
the store, a value past its age is `OUTSIDE_MAX_AGE`, and consent and erasure are `NOT_FOUND`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from pipelines.online.gateway import rules
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.judge import Cells, Judge, Lack, Member
from pipelines.online.gateway.plans import MEMBER_KEYS, Column, Part, Plan
from pipelines.online.stores import Row

STATUS = {
    rules.FRESH: "PRESENT",
    rules.STALE: "PRESENT",
    rules.EXPIRED: "OUTSIDE_MAX_AGE",
    rules.ABSENT: "NOT_FOUND",
    rules.WITHHELD: "NOT_FOUND",
    rules.ERASED: "NOT_FOUND",
}
EPOCH_TEXT = "1970-01-01T00:00:00Z"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for online features; either `service` or `columns` says which."""

    service: str | None
    columns: tuple[Column, ...]
    entities: dict[str, list[str]]
    full_names: bool
    now: object
    is_stock_sdk: bool  # Feast's own remote online store, which cannot take an empty list

    @property
    def rows(self) -> int:
        """How many entities are asked for."""
        return max((len(values) for values in self.entities.values()), default=0)


def read_request(body: Any) -> Asked:
    """The request in a JSON body.

    Raises:
        RefusedError: 400, it is not one.
    """
    if not isinstance(body, dict):
        raise _bad("the body is not an object")
    service, features = body.get("feature_service"), body.get("features") or []
    if service is not None and not isinstance(service, str):
        raise _bad("feature_service is not a text")
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        raise _bad("features is not a list of texts")
    if not service and not features:
        raise RefusedError(
            "no_features", "no features asked for", "name a feature_service, or features"
        )
    if len(set(features)) < len(features):
        message = "a feature is asked for twice"
        raise RefusedError("feature_name_collision", message, "ask for each once")
    full_names = body.get("full_feature_names", False)
    if not isinstance(full_names, bool):
        raise _bad("full_feature_names is neither true nor false")
    return Asked(
        service=service or None,
        columns=() if service else tuple(_column(name) for name in features),
        entities=_entities(body.get("entities")),
        full_names=full_names,
        now=body.get("now"),
        is_stock_sdk="include_feature_view_version_metadata" in body,
    )


def names_of(plan: Plan, *, full_names: bool) -> tuple[str, ...]:
    """The features' names in a response, in the order asked.

    Raises:
        RefusedError: 400, two features would have the same name.
    """
    if full_names:
        return plan.full_names
    names = plan.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        message = f"several features are called {', '.join(twice)}"
        raise RefusedError("feature_name_collision", message, "set full_feature_names to true")
    return names


def keys_of(part: Part, entities: Mapping[str, list[str]]) -> list[bytes]:
    """The entity keys of a part, one a row asked for.

    Raises:
        RefusedError: 400, a join key is missing.
    """
    missing = [name for name in part.join_keys if name not in entities]
    if missing:
        message = f"entities lacks {missing[0]}"
        raise RefusedError("missing_entity", message, f"give {', '.join(part.join_keys)}")
    columns = [entities[name] for name in part.join_keys]
    if not all(isinstance(value, str) for values in columns for value in values):
        raise _bad("entities holds something other than texts")
    return part.keys(columns)


def response(judge: Judge, asked: Asked, names: Sequence[str], rows: list[list[Row]]) -> Json:
    """The response: entities first, then each feature's values, statuses and event times."""
    plan = judge.plan
    members = _members(judge, asked, rows)
    vectors: list[Json] = []
    for part, held in zip(plan.parts, rows, strict=True):
        for columns in part.views:
            cells = [
                judge.cells(columns, row, member) for row, member in zip(held, members, strict=True)
            ]
            vectors += _vectors(len(columns.names), cells, keep_empty=not asked.is_stock_sdk)
    known = [name for name in asked.entities if any(name in part.join_keys for part in plan.parts)]
    return {
        "results": [
            *(_entity(asked.entities[name]) for name in known),
            *(vectors[position] for position in plan.order),
        ],
        "metadata": {"feature_names": [*known, *names]},
    }


def _members(judge: Judge, asked: Asked, rows: list[list[Row]]) -> list[Member] | list[None]:
    """Whom each row is about, where it is about members at all."""
    if judge.plan.parts[0].join_keys != MEMBER_KEYS:
        return [None] * asked.rows
    pairs = zip(asked.entities[MEMBER_KEYS[0]], rows[0], strict=True)
    return [judge.member(member_id, row) for member_id, row in pairs]


def _vectors(width: int, cells: list[Cells], *, keep_empty: bool) -> list[Json]:
    """The vector of each of a view's `width` features."""
    times = [_time(cell.since) for cell in cells]
    statuses = [STATUS[cell.status] for cell in cells]
    nothing = (None,) * width
    columns = zip(*(nothing if cell.values is None else cell.values for cell in cells), strict=True)
    vectors: list[Json] = [
        {"values": values, "statuses": statuses, "event_timestamps": times} for values in columns
    ]
    if not keep_empty:
        for vector in vectors:
            vector["values"] = [None if value == [] else value for value in vector["values"]]
    if any(cell.is_patchy for cell in cells):
        for vector in vectors:
            _say_lacks(vector)
    return vectors or [{"values": [], "statuses": [], "event_timestamps": []}] * width


def _say_lacks(vector: Json) -> None:
    """Write a value that is not there though its row is as null, with the status it has."""
    pairs = zip(vector["values"], vector["statuses"], strict=True)
    vector["statuses"] = [STATUS[v.status] if isinstance(v, Lack) else s for v, s in pairs]
    vector["values"] = [None if isinstance(v, Lack) else v for v in vector["values"]]


def _entity(values: list[str]) -> Json:
    count = len(values)
    return {
        "values": values,
        "statuses": ["PRESENT"] * count,
        "event_timestamps": [EPOCH_TEXT] * count,
    }


@lru_cache(maxsize=4096)
def _time(at: datetime | None) -> str:
    """An event time as protobuf's JSON has it: as many decimals as needed, in threes."""
    if at is None:
        return EPOCH_TEXT
    if at.microsecond % 1000:
        decimals = f".{at.microsecond:06d}"
    elif at.microsecond:
        decimals = f".{at.microsecond // 1000:03d}"
    else:
        decimals = ""
    whole = at - timedelta(microseconds=at.microsecond)
    return f"{whole:%Y-%m-%dT%H:%M:%S}{decimals}Z"


def _entities(given: Any) -> dict[str, list[str]]:
    if not isinstance(given, dict) or not given:
        raise _bad("entities is not an object of lists")
    if not all(isinstance(values, list) for values in given.values()):
        raise _bad("entities is not an object of lists")
    if len({len(values) for values in given.values()}) > 1:
        raise _bad("the lists in entities are not of one length")
    return given


def _column(reference: str) -> Column:
    view, colon, name = reference.partition(":")
    if not colon:
        message = f"{reference!r} is not written view:feature"
        raise _bad(message)
    return view, name


def _bad(message: str) -> RefusedError:
    return RefusedError("bad_request", message, "GET /openapi.json shows requests that are right")
