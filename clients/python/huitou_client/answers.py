"""What the gateway answers, as immutable typed objects; services' own classes are in `services.py`.

A field that the gateway does not know (it is older or newer than this client) reads as absent, and
one that this client does not know is left out, so either side may be updated first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_origin, get_type_hints

T_co = TypeVar("T_co", covariant=True)
Json = Mapping[str, Any]


class Status(StrEnum):
    """Whether a value may be used, or why it is not there."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"
    ABSENT = "absent"
    WITHHELD = "withheld"
    ERASED = "erased"


USABLE = frozenset({Status.FRESH, Status.STALE})


@dataclass(frozen=True, slots=True)
class Value(Generic[T_co]):
    """One feature. A usable value may still be `None`: then it is known that there is none."""

    value: T_co | None
    status: Status
    since: datetime | None

    @property
    def is_usable(self) -> bool:
        """Whether `value` is what the member has, rather than missing."""
        return self.status in USABLE


@dataclass(frozen=True, slots=True)
class ViewState:
    """How old the data of a feature view is.

    `as_of` is the instant it describes, `known_at` what was known of it by then, `published_at`
    when it came online.
    """

    status: Status
    as_of: datetime | None
    known_at: datetime | None
    published_at: datetime | None
    age_s: int | None
    snapshot_id: str | None

    @classmethod
    def from_json(cls, given: Json) -> Self:
        """What the gateway wrote."""
        return cls(
            status=Status(given["status"]),
            as_of=instant(given["as_of"]),
            known_at=instant(given.get("known_at")),
            published_at=instant(given.get("published_at")),
            age_s=given["age_s"],
            snapshot_id=given["snapshot_id"],
        )


@dataclass(frozen=True, slots=True)
class Clock:
    """Whole days, counted at the moment of the answer; `None` where not known."""

    days_since_last_order: int | None = None
    coupon_days_left: int | None = None
    days_to_next_due: int | None = None


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether the member may be sent a promotion now, and if not, why."""

    promo_allowed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that holds; `until` is the first instant at which it no longer does, if known."""

    code: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of one member that hold now."""

    member_id: str
    status: Status
    tags: tuple[Tag, ...]
    is_partly_withheld: bool
    view: ViewState

    @classmethod
    def from_json(cls, given: Json) -> Self:
        """What the gateway wrote."""
        (view,) = given["views"].values()
        return cls(
            member_id=given["member_id"],
            status=Status(given["status"]),
            tags=tuple(
                Tag(one["code"], datetime.fromisoformat(one["from"]), instant(one["until"]))
                for one in given["tags"]
            ),
            is_partly_withheld=given["is_partly_withheld"],
            view=ViewState.from_json(view),
        )


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one view, each a `Value`; subclasses are generated."""

    @classmethod
    def from_json(cls, given: Json) -> Self:
        """What the gateway wrote."""
        converters = _converters(cls)  # type: ignore[arg-type]  # classes are hashable
        return cls(
            **{name: _value(given.get(name), convert) for name, convert in converters.items()}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One member as a service promises it; subclasses are generated, with a field for each view."""

    service: ClassVar[str] = ""

    member_id: str
    now: datetime
    snapshot_id: str | None
    definition_version: str
    views: Mapping[str, ViewState]
    clock: Clock | None
    eligibility: Eligibility | None

    @classmethod
    def from_json(cls, head: Json, member: Json) -> Self:
        """What the gateway wrote: what holds for the whole response, and the member's own."""
        clock, eligibility = member.get("clock"), member.get("eligibility")
        views = _views(cls)  # type: ignore[arg-type]  # classes are hashable
        known = {field.name for field in fields(Clock)}
        return cls(
            member_id=member["member_id"],
            now=datetime.fromisoformat(head["now"]),
            snapshot_id=head["snapshot_id"],
            definition_version=head["definition_version"],
            views={name: ViewState.from_json(view) for name, view in head["views"].items()},
            clock=Clock(**{n: v for n, v in clock.items() if n in known}) if clock else None,
            eligibility=Eligibility(eligibility["promo_allowed"], tuple(eligibility["reasons"]))
            if eligibility
            else None,
            **{
                name: view.from_json(member["features"].get(name, {}))
                for name, view in views.items()
            },
        )


def instant(text: str | None) -> datetime | None:
    """The instant in ISO 8601, if there is one."""
    return None if text is None else datetime.fromisoformat(text)


def _value(given: Json | None, convert: Callable[[Any], Any]) -> Value[Any]:
    if given is None:
        return Value(None, Status.ABSENT, None)
    value = given["value"]
    converted = None if value is None else convert(value)
    return Value(converted, Status(given["status"]), instant(given["since"]))


@cache
def _converters(cls: type[Features]) -> dict[str, Callable[[Any], Any]]:
    """How JSON becomes the value, for each field of a view's class."""
    hints = get_type_hints(cls)
    return {field.name: _converter(get_args(hints[field.name])[0]) for field in fields(cls)}


def _converter(kind: Any) -> Callable[[Any], Any]:
    if get_origin(kind) is tuple:
        one = _converter(get_args(kind)[0])
        return lambda values: tuple(map(one, values))
    if kind is datetime:
        return datetime.fromisoformat
    return float if kind is float else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


@cache
def _views(cls: type[Answer]) -> dict[str, type[Features]]:
    """The views of a service's class, by name."""
    hints = get_type_hints(cls)
    return {
        field.name: hints[field.name]
        for field in fields(cls)
        if isinstance(hints[field.name], type) and issubclass(hints[field.name], Features)
    }
