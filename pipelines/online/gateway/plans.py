"""What a request reads, worked out before it comes: per service, and per list of features asked.

A plan names the columns to read (those asked for, and those the read-time rules need) and where
in a row each of them stands. Requests then do no work on definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipelines.core.catalog import Catalog, FeatureView, Service
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.rules import (
    CONTACT,
    CONTACT_INPUTS,
    COUPONS,
    OPEN_COUPONS,
    RULE_INPUTS,
    TAG_ARRAYS,
    TAGS,
)
from pipelines.online.layout import entity_key
from pipelines.online.stores import OnlineReader, ReadPlan

MEMBER_KEYS = ("member_id",)
REMEMBERED = 512  # lists of features whose plans are kept

Column = tuple[str, str]  # (view, feature)


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """The features asked of one view, and where they stand in its part's rows."""

    view: FeatureView
    names: tuple[str, ...]
    columns: tuple[int, ...]
    instants: tuple[bool, ...]  # which of them are whole seconds since 1970, or lists of them
    event: int  # position in `Row.event_at`


@dataclass(frozen=True, slots=True)
class Part:
    """What is read by one set of join keys. `inputs` are the columns that rules look at."""

    join_keys: tuple[str, ...]
    key_head: bytes  # of an entity key with one join key: all but the length and the text
    read: ReadPlan
    views: tuple[ViewColumns, ...]
    inputs: dict[Column, int]

    def keys(self, values: Sequence[Sequence[str]]) -> list[bytes]:
        """The entity keys of rows, given the values of each join key."""
        if len(values) == 1:
            head = self.key_head
            texts = [value.encode() for value in values[0]]
            return [b"%b%b%b" % (head, len(t).to_bytes(4, "little"), t) for t in texts]
        return [entity_key(self.join_keys, row) for row in zip(*values, strict=True)]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one kind of request reads, in one round trip.

    The first part is by member and carries the rules' inputs, unless nothing asked for is
    about members.
    """

    parts: tuple[Part, ...]
    views: tuple[ViewColumns, ...]  # of all parts
    columns: tuple[Column, ...]  # as asked
    order: tuple[int, ...]  # where each of them stands among the columns of `views`
    names: tuple[str, ...]  # of `columns` in Feast's responses
    full_names: tuple[str, ...]
    serve_stale: bool
    has_eligibility: bool
    rule_views: tuple[FeatureView, ...]  # that eligibility looks at
    service: str | None


@dataclass(frozen=True)
class Definitions:
    """One version of the catalogue, ready to serve; replaced as a whole when the file changes."""

    catalog: Catalog
    version: str
    services: dict[str, Plan]
    _reader: OnlineReader
    _asked: dict[tuple[Column, ...], Plan] = field(default_factory=dict)

    @classmethod
    def of(cls, catalog: Catalog, reader: OnlineReader) -> Definitions:
        """The plans of every online service of `catalog`."""
        services = {
            service.name: make_plan(catalog, reader, service.features, service)
            for service in catalog.services.values()
            if service.online
        }
        return cls(catalog, catalog.version, services, reader)

    def service(self, name: str) -> Plan:
        """The plan of a service.

        Raises:
            RefusedError: 404, no such service is served online.
        """
        try:
            return self.services[name]
        except KeyError:
            message = f"no online service {name!r}"
            remedy = "GET /v1/services lists them"
            raise RefusedError("unknown_service", message, remedy) from None

    def features(self, columns: tuple[Column, ...]) -> Plan:
        """The plan that reads just these features.

        Raises:
            RefusedError: 400, the catalogue has no such feature.
        """
        plan = self._asked.get(columns)
        if plan is None:
            for view, name in columns:
                if not self.has(view, name):
                    message = f"no feature {view}:{name}"
                    remedy = "GET /v1/services lists them"
                    raise RefusedError("unknown_feature", message, remedy)
            if len(self._asked) >= REMEMBERED:
                self._asked.clear()
            plan = self._asked[columns] = make_plan(self.catalog, self._reader, columns)
        return plan

    def has(self, view: str, name: str) -> bool:
        """Whether the catalogue has that feature."""
        found = self.catalog.views.get(view)
        return found is not None and any(feature.name == name for feature in found.features)


def make_plan(
    catalog: Catalog,
    reader: OnlineReader,
    asked: Sequence[Column],
    service: Service | None = None,
) -> Plan:
    """The plan that reads `asked` and what the rules need to judge it."""
    views = [catalog.views[name] for name in dict.fromkeys(view for view, _ in asked)]
    has_eligibility = service is not None and any(view.name == CONTACT for view in views)
    inputs = _rule_inputs(catalog, views, has_eligibility=has_eligibility)
    groups = dict.fromkeys(view.join_keys for view in views)
    about_members = any(set(MEMBER_KEYS) <= set(keys) for keys in groups)
    parts = []
    if about_members:
        groups.pop(MEMBER_KEYS, None)
        parts.append(_part(reader, MEMBER_KEYS, _of(views, MEMBER_KEYS), asked, inputs))
    parts += [_part(reader, keys, _of(views, keys), asked, ()) for keys in groups]
    looked_at = dict.fromkeys(view for view, _ in inputs) if has_eligibility else ()
    found = tuple(columns for part in parts for columns in part.views)
    flat = [(columns.view.name, name) for columns in found for name in columns.names]
    return Plan(
        parts=tuple(parts),
        views=found,
        columns=tuple(asked),
        order=tuple(flat.index(column) for column in asked),
        names=tuple(name for _, name in asked),
        full_names=tuple(f"{view}__{name}" for view, name in asked),
        serve_stale=service is not None and service.serve_stale,
        has_eligibility=has_eligibility,
        rule_views=tuple(catalog.views[name] for name in looked_at),
        service=service.name if service else None,
    )


def _rule_inputs(
    catalog: Catalog, views: Sequence[FeatureView], *, has_eligibility: bool
) -> list[Column]:
    """The columns that the rules look at, as far as the catalogue has them."""
    names = {view.name for view in views}
    wanted: list[Column] = []
    if has_eligibility:
        wanted += RULE_INPUTS
    if TAGS in names:
        wanted += [(TAGS, name) for name in TAG_ARRAYS]
    if COUPONS in names:
        wanted.append((COUPONS, OPEN_COUPONS))
    if TAGS in names or any(view.purpose for view in views):
        wanted += CONTACT_INPUTS
    known = {
        (view.name, feature.name) for view in catalog.views.values() for feature in view.features
    }
    return [column for column in dict.fromkeys(wanted) if column in known]


def _of(views: Sequence[FeatureView], join_keys: tuple[str, ...]) -> list[FeatureView]:
    return [view for view in views if view.join_keys == join_keys]


def _part(
    reader: OnlineReader,
    join_keys: tuple[str, ...],
    views: Sequence[FeatureView],
    asked: Sequence[Column],
    inputs: Iterable[Column],
) -> Part:
    named = {view.name for view in views}
    columns = list(dict.fromkeys([*(c for c in asked if c[0] in named), *inputs]))
    read = reader.plan(join_keys, columns)
    at = {column: position for position, column in enumerate(columns)}
    return Part(
        join_keys=join_keys,
        key_head=entity_key(join_keys, [""] * len(join_keys))[:-4],
        read=read,
        views=tuple(_columns_of(view, asked, at, read) for view in views),
        inputs={column: at[column] for column in inputs},
    )


def _columns_of(
    view: FeatureView, asked: Sequence[Column], at: dict[Column, int], read: ReadPlan
) -> ViewColumns:
    names = tuple(dict.fromkeys(name for owner, name in asked if owner == view.name))
    return ViewColumns(
        view=view,
        names=names,
        columns=tuple(at[view.name, name] for name in names),
        instants=tuple("UnixTimestamp" in view.feature(name).feast_type for name in names),
        event=read.views.index(view.name),
    )
