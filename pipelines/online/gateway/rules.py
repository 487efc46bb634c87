"""The rules that are decided when a value is read, and not before: pure functions of what is held.

Tags hold while `now` is in their interval; consent withholds; a view's age makes its values
stale, then expired; eligibility fails closed. What the values mean stands in the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from pipelines.core.catalog import FeatureView
from pipelines.online.decoder import EPOCH, Decoded
from pipelines.online.stores import Published

FRESH, STALE, EXPIRED = "fresh", "stale", "expired"
ABSENT, WITHHELD, ERASED = "absent", "withheld", "erased"
STATUSES = (FRESH, STALE, EXPIRED, ABSENT, WITHHELD, ERASED)

CONTACT, TAGS, VOICE = "member_contact_v1", "member_tags_v1", "member_voice_v1"
ORDERS, COUPONS, NEXT_DUE = "member_orders_v1", "member_coupons_v1", "member_next_due_v1"
TAG_ARRAYS = ("tags", "tag_from", "tag_until")
TAG_HASH = "tag_set_hash"
OPEN_COUPONS, NEXT_EXPIRY = "open_coupons", "next_coupon_expiry_at"
CONTACT_INPUTS = ((CONTACT, "consent_profiling"), (CONTACT, "consent_marketing"))
#: What eligibility looks at; what the catalogue lacks is no reason.
RULE_INPUTS = (
    *CONTACT_INPUTS,
    (CONTACT, "holdout_arm"),
    (CONTACT, "recent_promo_instants"),
    (CONTACT, "promo_touches_30d"),
    (CONTACT, "wecom_quota_left"),
    (VOICE, "open_cases"),
    *((TAGS, name) for name in TAG_ARRAYS),
)

#: Groups of tags that are profiling: gone for a member who does not consent to it.
PROFILING_GROUPS = frozenset({"rfm", "value", "risk", "uplift", "reco"})
HOLDOUT_ARMS = frozenset({"holdout", "control"})
FATIGUE_PROMOS, FATIGUE_DAYS = 4, 30
OPEN_ENDED = 253_402_214_400  # 9999-12-31: an interval without an end
DAY_S = 86_400
REASONS = (
    "erased",
    "contact_expired",
    "consent",
    "holdout",
    "fatigue",
    "open_complaint",
    "quota",
    "reseller",
    "tags_expired",
    "voice_expired",
)


class ViewState(NamedTuple):
    """How old what the store holds of a view is, and what that makes of its values."""

    status: str
    as_of: datetime | None = None
    known_at: datetime | None = None
    published_at: datetime | None = None
    age_s: int | None = None
    snapshot_id: str | None = None


NEVER_PUBLISHED = ViewState(ABSENT)


def view_state(
    view: FeatureView, published: Published | None, now: datetime, *, serve_stale: bool
) -> ViewState:
    """The state of a view at `now`: fresh within its SLO, then stale, expired beyond `max_age_s`.

    A consumer that takes stale values gets them as stale however old they are.
    """
    if published is None:
        return NEVER_PUBLISHED
    age = (now - published.as_of).total_seconds()
    if age <= min(view.slo_s, view.max_age_s):
        status = FRESH
    elif age <= view.max_age_s or serve_stale:
        status = STALE
    else:
        status = EXPIRED
    return ViewState(
        status,
        published.as_of,
        published.known_at,
        published.published_at,
        int(age // 1),
        published.snapshot_id,
    )


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag that holds; `until` is `None` where no end is known."""

    code: str
    since: int
    until: int | None


class TagsNow(NamedTuple):
    """The tags that hold at an instant, as positions in the stored arrays."""

    kept: tuple[int, ...]
    is_withheld: bool  # whether consent hid any that hold


def tags_at(
    codes: Sequence[str],
    starts: Sequence[int],
    ends: Sequence[int],
    now_s: int,
    *,
    profiling: bool,
) -> TagsNow:
    """The intervals `[start, end)` that contain `now`.

    Bounds are whole seconds, so comparing whole seconds of `now` is exact to the microsecond.
    """
    kept, hidden = [], False
    for position, code in enumerate(codes):
        if not starts[position] <= now_s < ends[position]:
            continue
        if not profiling and code.partition(".")[0] in PROFILING_GROUPS:
            hidden = True
        else:
            kept.append(position)
    return TagsNow(tuple(kept), hidden)


@dataclass(frozen=True, slots=True)
class PromoInputs:
    """What eligibility is decided from; `late` are the views too old to decide by."""

    is_erased: bool
    late: frozenset[str]
    codes: frozenset[str]
    values: dict[str, Decoded]


def promo_reasons(given: PromoInputs, now_s: int) -> list[str]:
    """Why the member must not be sent a promotion; empty if they may be.

    Fails closed: consent that is not on record, or an input too old to trust, is a reason.
    """
    values, codes = given.values, given.codes
    found = {
        "erased": given.is_erased,
        "contact_expired": CONTACT in given.late,
        "consent": values.get("consent_marketing") is not True or "consent.no_marketing" in codes,
        "holdout": values.get("holdout_arm") in HOLDOUT_ARMS or "exp.holdout_global" in codes,
        "fatigue": _is_tired(values, now_s) or "contact.fatigue" in codes,
        "open_complaint": bool(values.get("open_cases")) or "service.open_complaint" in codes,
        "quota": _is_spent(values.get("wecom_quota_left")),
        "reseller": "type.reseller" in codes,
        "tags_expired": TAGS in given.late,
        "voice_expired": VOICE in given.late,
    }
    return [reason for reason in REASONS if found[reason]]


def _is_tired(values: dict[str, Decoded], now_s: int) -> bool:
    """Whether promotions of the last 30 days reach the limit; by their instants where held."""
    instants = values.get("recent_promo_instants")
    if isinstance(instants, list):
        since = now_s - FATIGUE_DAYS * DAY_S
        return sum(1 for at in instants if since <= int(at) <= now_s) >= FATIGUE_PROMOS
    touches = values.get("promo_touches_30d")
    return isinstance(touches, int) and touches >= FATIGUE_PROMOS


def _is_spent(quota: Decoded) -> bool:
    return isinstance(quota, int) and quota <= 0


def days_since(instant: Decoded, now_s: int) -> int | None:
    """Whole days from `instant` to now; negative if it is yet to come."""
    return (now_s - instant) // DAY_S if isinstance(instant, int) else None


def days_until(instant: Decoded, now_s: int) -> int | None:
    """Whole days from now to `instant`; negative once it is past."""
    return (instant - now_s) // DAY_S if isinstance(instant, int) else None


class CouponsNow(NamedTuple):
    """The coupons of a stored list that work at an instant, and when the first of them ends."""

    text: str
    first_expiry: int | None


def coupons_at(listed: str, now_s: int) -> CouponsNow | None:
    """The coupons with `valid_from <= now < expires_at`; the list as it was if that is all of them.

    `None` if it is not a list of coupons.
    """
    try:
        coupons: Any = orjson.loads(listed)
        spans = [(_seconds(one.get("valid_from")), _seconds(one["expires_at"])) for one in coupons]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    kept = [
        position
        for position, (start, end) in enumerate(spans)
        if (start is None or start <= now_s) and (end is None or now_s < end)
    ]
    ends = [end for position in kept if (end := spans[position][1]) is not None]
    text = listed
    if len(kept) < len(spans):
        text = orjson.dumps([coupons[position] for position in kept]).decode()
    return CouponsNow(text, min(ends, default=None))


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp() // 1)


@lru_cache(maxsize=65_536)  # members share the bounds of their tags
def as_instant(seconds: int) -> datetime:
    """The instant of Feast's whole seconds; beyond the calendar, its last second."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(microsecond=0, tzinfo=UTC) if seconds > 0 else EPOCH
