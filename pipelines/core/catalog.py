"""The definitions of features, written once in dbt's YAML, as the rest of the product reads them.

A feature view is a dbt model with `meta.feature_view`; a feature service is a dbt exposure with
`meta.feature_service`. Feast's objects, the gateway's OpenAPI and the typed client derive from
this. What a tag is stands in the tag catalogue, not here.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pipelines.core.errors import HuitouError
from pipelines.core.files import read_json, write_json

#: dbt data types and the Feast type (also the value-type name of its protocol) of each.
FEAST_TYPES = {
    "varchar": "String",
    "bigint": "Int64",
    "double": "Float64",
    "boolean": "Bool",
    "timestamptz": "UnixTimestamp",
    "varchar[]": "Array(String)",
    "timestamptz[]": "Array(UnixTimestamp)",
    "double[]": "Array(Float64)",
    "bigint[]": "Array(Int64)",
}
EVENT_AT, KNOWN_AT = "event_timestamp", "created_timestamp"
AT = "timestamptz"
VIEW_META = {"entity", "join_keys", "max_age_s", "slo_s", "owner", "domain"}
VIEW_META_OPTIONAL = {"pii", "purpose"}
#: Columns of the feature log and of Feast's join, which also drops whatever ends in `_y`.
RESERVED = {EVENT_AT, KNOWN_AT, "is_deleted", "snapshot_id", "entity_row_id"}


class CatalogError(HuitouError):
    """The dbt YAML does not define a feature view or service as the catalogue needs it."""


@dataclass(frozen=True)
class Feature:
    """One feature: `data_type` is dbt's, `feast_type` Feast's."""

    name: str
    data_type: str
    description: str
    unit: str = ""

    @property
    def feast_type(self) -> str:
        """Feast's name of the type."""
        return FEAST_TYPES[self.data_type]


@dataclass(frozen=True)
class FeatureView:
    """One feature view: a dbt model, a folder of the feature log, a Feast view of that name."""

    name: str
    description: str
    entity: str
    join_keys: tuple[str, ...]
    features: tuple[Feature, ...]
    max_age_s: int
    slo_s: int
    owner: str
    domain: str
    pii: str
    purpose: str  # consent the values need: "" or "profiling" or "marketing"

    def feature(self, name: str) -> Feature:
        """The feature of that name; KeyError if the view has none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)


@dataclass(frozen=True)
class Service:
    """One feature service: what a downstream app is promised, by view and feature name."""

    name: str
    description: str
    owner: str
    features: tuple[tuple[str, str], ...]
    serve_stale: bool
    online: bool


@dataclass(frozen=True)
class Catalog:
    """All definitions. Equal catalogues have equal `version`."""

    views: dict[str, FeatureView]
    services: dict[str, Service]

    @property
    def version(self) -> str:
        """Short digest of every definition; changes when any of them does."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write the catalogue for the gateway, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Catalog:
        """Read what `save` wrote."""
        value = read_json(path)
        views = {
            name: FeatureView(
                **{
                    **view,
                    "join_keys": tuple(view["join_keys"]),
                    "features": tuple(Feature(**f) for f in view["features"]),
                }
            )
            for name, view in value["views"].items()
        }
        services = {
            name: Service(**{**service, "features": tuple((v, f) for v, f in service["features"])})
            for name, service in value["services"].items()
        }
        return cls(views, services)

    @classmethod
    def from_dbt(cls, project: Path) -> Catalog:
        """Read the definitions from `models/features/*.yml` of a dbt project.

        Raises:
            CatalogError: a view, column or service is not fully or not consistently defined.
        """
        views: dict[str, FeatureView] = {}
        services: dict[str, Service] = {}
        documents = [
            (path.name, yaml.safe_load(path.read_text(encoding="utf-8")) or {})
            for path in sorted((project / "models" / "features").glob("*.yml"))
        ]
        for file, document in documents:
            for model in document.get("models", []):
                if "feature_view" in model.get("config", {}).get("meta", {}):
                    _add(views, _view(model, f"{file}: {model['name']}"))
        for file, document in documents:
            for exposure in document.get("exposures", []):
                if "feature_service" in exposure.get("config", {}).get("meta", {}):
                    where = f"{file}: {exposure['name']}"
                    _add(services, _service(exposure, views, where))
        return cls(dict(sorted(views.items())), dict(sorted(services.items())))


Defined = TypeVar("Defined", FeatureView, Service)


def _add(known: dict[str, Defined], one: Defined) -> None:
    if one.name in known:
        message = f"{one.name} is defined twice"
        raise CatalogError(message, "keep one, or add the next version")
    known[one.name] = one


def _view(model: dict[str, Any], where: str) -> FeatureView:
    meta = model["config"]["meta"]["feature_view"]
    _only(meta, VIEW_META, VIEW_META_OPTIONAL, where)
    if not _words(model) or min(int(meta["max_age_s"]), int(meta["slo_s"])) <= 0:
        message = f"{where} lacks a description, or max_age_s and slo_s above zero"
        raise CatalogError(message, "say what a row is and how old it may be")
    keys = tuple(meta["join_keys"])
    return FeatureView(
        name=_name(model["name"], where),
        description=_words(model),
        entity=meta["entity"],
        join_keys=keys,
        features=_features(model["columns"], keys, where),
        max_age_s=int(meta["max_age_s"]),
        slo_s=int(meta["slo_s"]),
        owner=meta["owner"],
        domain=meta["domain"],
        pii=meta.get("pii", "none"),
        purpose=meta.get("purpose", ""),
    )


def _features(
    columns: list[dict[str, Any]], keys: tuple[str, ...], where: str
) -> tuple[Feature, ...]:
    """The columns between the join keys and the two clocks, each with a known type and words."""
    types = [(column["name"], column.get("data_type")) for column in columns]
    first, last = [(key, "varchar") for key in keys], [(EVENT_AT, AT), (KNOWN_AT, AT)]
    if types[: len(first)] != first or types[-2:] != last or len(types) == len(first) + 2:
        message = f"{where} has not the columns of a feature view"
        raise CatalogError(message, f"in order: {first}, the features, {last}")
    features = []
    for column in columns[len(first) : -2]:
        name = _name(column["name"], where)
        words = _words(column)
        if column.get("data_type") not in FEAST_TYPES or not words:
            message = f"{where}.{name} lacks a known type or words"
            raise CatalogError(message, f"give it a description and one of {sorted(FEAST_TYPES)}")
        unit = column.get("config", {}).get("meta", {}).get("unit", "")
        features.append(Feature(name, column["data_type"], words, unit))
    if len({name for name, _ in types}) < len(types):
        message = f"{where} names a column twice"
        raise CatalogError(message, "each column once")
    return tuple(features)


def _service(exposure: dict[str, Any], views: dict[str, FeatureView], where: str) -> Service:
    meta = exposure["config"]["meta"]["feature_service"]
    _only(meta, {"features"}, {"serve_stale", "online"}, where)
    if not _words(exposure) or not exposure.get("owner", {}).get("name"):
        message = f"{where} lacks a description or an owner"
        raise CatalogError(message, "say whom it serves")
    chosen: list[tuple[str, str]] = []
    for view, names in meta["features"].items():
        known = [f.name for f in views[view].features] if view in views else []
        wanted = known if names == "all" else names
        missing = [name for name in wanted if name not in known]
        if missing or not known:
            message = f"{where} names {view}: {missing or 'no such view'}"
            raise CatalogError(message, "name views and features that models/features defines")
        chosen += [(view, name) for name in wanted]
    return Service(
        name=_name(exposure["name"], where),
        description=_words(exposure),
        owner=exposure["owner"]["name"],
        features=tuple(chosen),
        serve_stale=bool(meta.get("serve_stale", False)),
        online=bool(meta.get("online", True)),
    )


def _only(meta: dict[str, Any], required: set[str], optional: set[str], where: str) -> None:
    """Refuse a misspelt or forgotten key, which would otherwise silently be the default."""
    missing, unknown = sorted(required - set(meta)), sorted(set(meta) - required - optional)
    if missing or unknown:
        message = f"{where}: meta lacks {missing} and has the unknown {unknown}"
        raise CatalogError(message, f"needed: {sorted(required)}; allowed: {sorted(optional)}")


def _name(name: str, where: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED or name.endswith("_y"):
        message = f"{where}: {name!r} cannot be a name"
        raise CatalogError(message, "lower case, digits, _; not reserved; not ending in _y")
    return name


def _words(described: dict[str, Any]) -> str:
    """The description on one line; empty if there is none."""
    return " ".join((described.get("description") or "").split())
