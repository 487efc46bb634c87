"""What a caller may see of what the store holds: rows in, values with their statuses out.

One `Judge` serves one request: its `now`, its plan, the watermarks that came with the rows.
Protocols (`members.py`, `feast.py`) only write down what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pipelines.core.catalog import FeatureView
from pipelines.online.access.erasures import Erasures
from pipelines.online.decoder import Decoded, decode
from pipelines.online.gateway import rules
from pipelines.online.gateway.plans import Column, Plan, ViewColumns
from pipelines.online.gateway.rules import Tag, TagsNow, ViewState
from pipelines.online.gateway.settings import OPT_OUT
from pipelines.online.stores import Published, Row


class Lack(NamedTuple):
    """Stands for a single value that is not there though its view's other values are."""

    status: str


ABSENT, WITHHELD = Lack(rules.ABSENT), Lack(rules.WITHHELD)
Value = Decoded | Lack


class Cells(NamedTuple):
    """The values of one view for one key, in the plan's order; none unless they may be used.

    `is_patchy` says that some of them are `Lack`s.
    """

    status: str
    since: datetime | None
    values: Sequence[Value] | None
    is_patchy: bool = False


@dataclass(slots=True)
class Member:
    """What the rules say of one member, worked out once for all its views."""

    id: str
    row: Row
    is_erased: bool
    profiling: bool | None = None  # consent; None: not on record
    marketing: bool | None = None
    is_stated: bool = False  # whether the store holds the member's consents at all
    tags: TagsNow | None = None
    arrays: tuple[list[str], list[int], list[int]] = field(default=([], [], []))


class Judge:
    """Decides every value of one request."""

    def __init__(
        self,
        plan: Plan,
        watermarks: Mapping[str, Published],
        now: datetime,
        erasures: Erasures,
        profiling_consent: str,
    ) -> None:
        self.plan = plan
        self.now = now
        self.now_s = int(now.timestamp() // 1)
        self._erasures = erasures
        self._is_opt_out = profiling_consent == OPT_OUT
        self._watermarks = watermarks
        self._inputs: dict[Column, int] = plan.parts[0].inputs
        views = plan.parts[0].read.views
        self._contact = views.index(rules.CONTACT) if rules.CONTACT in views else None
        self.states = {
            columns.view.name: self._state(columns.view, serve_stale=plan.serve_stale)
            for columns in plan.views
        }
        self._late = frozenset(
            view.name
            for view in plan.rule_views
            if self._state(view, serve_stale=False).status in (rules.EXPIRED, rules.ABSENT)
        )

    def _state(self, view: FeatureView, *, serve_stale: bool) -> ViewState:
        published = self._watermarks.get(view.name)
        return rules.view_state(view, published, self.now, serve_stale=serve_stale)

    def member(self, member_id: str, row: Row) -> Member:
        """What the rules say of the member whose row of the plan's first part this is."""
        is_erased = member_id in self._erasures
        if not self._inputs:
            return Member(member_id, row, is_erased)
        known = Member(
            id=member_id,
            row=row,
            is_erased=is_erased,
            profiling=self._flag(row, "consent_profiling"),
            marketing=self._flag(row, "consent_marketing"),
            is_stated=self._contact is not None and row.event_at[self._contact] is not None,
        )
        if (rules.TAGS, "tags") in self._inputs:
            known.arrays = self._arrays(row)
            profiling = self._may_profile(known) is True
            known.tags = rules.tags_at(*known.arrays, self.now_s, profiling=profiling)
        return known

    def cells(self, columns: ViewColumns, row: Row, member: Member | None) -> Cells:
        """The values of a view in `row`; `member` is whom they are about, if about a member."""
        since = row.event_at[columns.event]
        status = self.states[columns.view.name].status
        if member is not None:
            if member.is_erased:
                return Cells(rules.ERASED, None, None)
            if not self._consents(columns.view.purpose, member, is_held=since is not None):
                return Cells(rules.WITHHELD, None, None)
        if since is None or status == rules.ABSENT:
            return Cells(rules.ABSENT, None, None)
        if status == rules.EXPIRED:
            return Cells(status, since, None)
        held = row.values
        raw = [held[column] for column in columns.columns]
        if member is not None and member.tags is not None and columns.view.name == rules.TAGS:
            values = self._tag_values(columns, raw, member)
            return Cells(status, since, values, None in raw or member.tags.is_withheld)
        values = [ABSENT if cell is None else decode(cell) for cell in raw]
        if columns.view.name == rules.COUPONS:
            self._keep_coupons(columns, values, row)
        return Cells(status, since, values, None in raw)

    def tags(self, member: Member) -> list[Tag]:
        """The tags that hold now and may be shown."""
        codes, starts, ends = member.arrays
        kept = member.tags.kept if member.tags else ()
        return [
            Tag(codes[i], starts[i], None if ends[i] >= rules.OPEN_ENDED else ends[i]) for i in kept
        ]

    def eligibility(self, member: Member) -> dict[str, Any]:
        """Whether the member may be sent a promotion now, and if not, every reason."""
        codes, _, _ = member.arrays
        given = rules.PromoInputs(
            is_erased=member.is_erased,
            late=self._late,
            codes=frozenset(codes[i] for i in member.tags.kept) if member.tags else frozenset(),
            values={
                name: self._value(member.row, view, name)
                for view, name in self._inputs
                if view != rules.TAGS
            },
        )
        reasons = rules.promo_reasons(given, self.now_s)
        return {"promo_allowed": not reasons, "reasons": reasons}

    def _consents(self, purpose: str, member: Member, *, is_held: bool) -> bool:
        if not purpose:
            return True
        consent = self._may_profile(member) if purpose == "profiling" else member.marketing
        if consent is None:  # not known: of what is not held either, `absent` says it all
            return not is_held
        return consent

    def _may_profile(self, member: Member) -> bool | None:
        """Consent to profiling. Opting out is possible only for those whose state is held."""
        if member.profiling is None and member.is_stated and self._is_opt_out:
            return True
        return member.profiling

    def _tag_values(
        self, columns: ViewColumns, raw: list[bytes | None], member: Member
    ) -> list[Value]:
        """The arrays, cut down to the tags that hold and may be shown; the rest as it is."""
        assert member.tags is not None  # noqa: S101  # the caller looked
        values: list[Value] = []
        for name, cell in zip(columns.names, raw, strict=True):
            if cell is None:
                values.append(ABSENT)
            elif cell and name in rules.TAG_ARRAYS:
                array = member.arrays[rules.TAG_ARRAYS.index(name)]
                values.append([array[i] for i in member.tags.kept])  # type: ignore[arg-type]  # of one type
            elif name == rules.TAG_HASH and member.tags.is_withheld:
                values.append(WITHHELD)  # it would tell which tags were hidden
            else:
                values.append(decode(cell))
        return values

    def _keep_coupons(self, columns: ViewColumns, values: list[Value], row: Row) -> None:
        listed = self._value(row, rules.COUPONS, rules.OPEN_COUPONS)
        coupons = rules.coupons_at(listed, self.now_s) if isinstance(listed, str) else None
        for position, name in enumerate(columns.names):
            value = values[position]
            if name == rules.OPEN_COUPONS and coupons is not None:
                values[position] = coupons.text
            elif name == rules.NEXT_EXPIRY and isinstance(value, int) and value <= self.now_s:
                values[position] = coupons.first_expiry if coupons is not None else None

    def _arrays(self, row: Row) -> tuple[list[str], list[int], list[int]]:
        codes, starts, ends = (
            self._value(row, rules.TAGS, name) or [] for name in rules.TAG_ARRAYS
        )
        if not len(codes) == len(starts) == len(ends):  # type: ignore[arg-type]
            return [], [], []
        return codes, starts, ends  # type: ignore[return-value]

    def _flag(self, row: Row, name: str) -> bool | None:
        value = self._value(row, rules.CONTACT, name)
        return value if isinstance(value, bool) else None

    def _value(self, row: Row, view: str, name: str) -> Decoded:
        column = self._inputs.get((view, name))
        cell = row.values[column] if column is not None else None
        return decode(cell) if cell else None
