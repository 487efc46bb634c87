"""The gateway's own answers, as JSON: one member, many members, a member's tags."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pipelines.online.gateway import rules
from pipelines.online.gateway.judge import Cells, Judge, Lack, Member, Value
from pipelines.online.gateway.plans import ViewColumns
from pipelines.online.stores import Row

Json = dict[str, Any]
LACKING: dict[str, Json] = {
    status: {"value": None, "status": status, "since": None} for status in rules.STATUSES
}
#: Clock values by name: the column each is computed from.
CLOCK = {
    "days_since_last_order": (rules.ORDERS, "last_order_at"),
    "coupon_days_left": (rules.COUPONS, rules.NEXT_EXPIRY),
    "days_to_next_due": (rules.NEXT_DUE, "next_due_at"),
}


def head(judge: Judge, version: str) -> Json:
    """What holds for all members of a response: which data it is, and how old."""
    states = judge.states
    newest = max(
        (state for state in states.values() if state.as_of is not None),
        key=lambda state: (state.as_of, state.snapshot_id),
        default=rules.NEVER_PUBLISHED,
    )
    return {
        "service": judge.plan.service,
        "now": judge.now,
        "snapshot_id": newest.snapshot_id,
        "definition_version": version,
        "views": {name: state._asdict() for name, state in states.items()},
    }


def member_json(judge: Judge, member_id: str, row: Row) -> Json:
    """All values of one member, and what the clock and the rules make of them."""
    member = judge.member(member_id, row)
    cells = {
        columns.view.name: (columns, judge.cells(columns, row, member))
        for columns in judge.plan.parts[0].views
    }
    answer: Json = {
        "member_id": member_id,
        "features": {name: _features(columns, held) for name, (columns, held) in cells.items()},
    }
    if clock := _clock(cells, judge.now_s):
        answer["clock"] = clock
    if judge.plan.has_eligibility:
        answer["eligibility"] = judge.eligibility(member)
    return answer


def tags_json(judge: Judge, member: Member, cells: Cells) -> Json:
    """The tags that hold, each with its interval; none unless they may be used."""
    is_usable = cells.values is not None
    return {
        "member_id": member.id,
        "status": cells.status,
        "since": cells.since,
        "is_partly_withheld": bool(is_usable and member.tags and member.tags.is_withheld),
        "tags": [
            {
                "code": tag.code,
                "from": rules.as_instant(tag.since),
                "until": None if tag.until is None else rules.as_instant(tag.until),
            }
            for tag in (judge.tags(member) if is_usable else ())
        ],
    }


def _features(columns: ViewColumns, cells: Cells) -> dict[str, Json]:
    if cells.values is None:
        lacking = {**LACKING[cells.status], "since": cells.since}
        return dict.fromkeys(columns.names, lacking)
    status, since = cells.status, cells.since
    return {
        name: LACKING[value.status]
        if isinstance(value, Lack)
        else {
            "value": _instants(value) if is_instant else value,
            "status": status,
            "since": since,
        }
        for name, value, is_instant in zip(
            columns.names, cells.values, columns.instants, strict=True
        )
    }


def _instants(value: Value) -> datetime | list[datetime] | None:
    if isinstance(value, list):
        return [rules.as_instant(int(seconds)) for seconds in value]
    return None if value is None else rules.as_instant(value)


def _clock(cells: dict[str, tuple[ViewColumns, Cells]], now_s: int) -> dict[str, int | None]:
    """The values that move with the clock, of those whose inputs the service has."""
    found: dict[str, int | None] = {}
    for clock, (view, name) in CLOCK.items():
        if view not in cells or name not in cells[view][0].names:
            continue
        columns, read = cells[view]
        value = read.values[columns.names.index(name)] if read.values is not None else None
        days = rules.days_since if clock == "days_since_last_order" else rules.days_until
        found[clock] = days(None if isinstance(value, Lack) else value, now_s)
    return found
