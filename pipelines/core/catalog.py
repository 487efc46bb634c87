"""The definitions of features, written once in dbt's YAML, as the rest of the product reads them.

A feature view is a dbt model with `meta.feature_view`; a feature service is a dbt exposure with
`meta.feature_service`. Feast's objects, the gateway's OpenAPI and the typed client derive from
this. What a tag is stands in the tag catalogue, not here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
        exposures: list[dict[str, Any]] = []
        for path in sorted((project / "models" / "features").glob("*.yml")):
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            for model in document.get("models", []):
                if "feature_view" in model.get("config", {}).get("meta", {}):
                    views[model["name"]] = _view(model, path)
            exposures += document.get("exposures", [])
        services = {
            exposure["name"]: _service(exposure, views)
            for exposure in exposures
            if "feature_service" in exposure.get("config", {}).get("meta", {})
        }
        return cls(dict(sorted(views.items())), dict(sorted(services.items())))


def _view(model: dict[str, Any], path: Path) -> FeatureView:
    meta = model["config"]["meta"]["feature_view"]
    keys = tuple(meta["join_keys"])
    bookkeeping = {*keys, EVENT_AT, KNOWN_AT}
    features = []
    for column in model["columns"]:
        if column["name"] in bookkeeping:
            continue
        if column.get("data_type") not in FEAST_TYPES or not column.get("description"):
            message = f"{path.name}: {model['name']}.{column['name']} lacks a known type or words"
            raise CatalogError(message, f"give it a description and one of {sorted(FEAST_TYPES)}")
        unit = column.get("config", {}).get("meta", {}).get("unit", "")
        features.append(
            Feature(column["name"], column["data_type"], _words(column["description"]), unit)
        )
    return FeatureView(
        name=model["name"],
        description=_words(model["description"]),
        entity=meta["entity"],
        join_keys=keys,
        features=tuple(features),
        max_age_s=int(meta["max_age_s"]),
        slo_s=int(meta["slo_s"]),
        owner=meta["owner"],
        domain=meta["domain"],
        pii=meta.get("pii", "none"),
        purpose=meta.get("purpose", ""),
    )


def _service(exposure: dict[str, Any], views: dict[str, FeatureView]) -> Service:
    meta = exposure["config"]["meta"]["feature_service"]
    chosen: list[tuple[str, str]] = []
    for view, names in meta["features"].items():
        known = [f.name for f in views[view].features] if view in views else []
        wanted = known if names == "all" else names
        missing = [name for name in wanted if name not in known]
        if missing or not known:
            message = f"service {exposure['name']} names {view}: {missing or 'no such view'}"
            raise CatalogError(message, "name views and features that models/features defines")
        chosen += [(view, name) for name in wanted]
    return Service(
        name=exposure["name"],
        description=_words(exposure["description"]),
        owner=exposure["owner"]["name"],
        features=tuple(chosen),
        serve_stale=bool(meta.get("serve_stale", False)),
        online=bool(meta.get("online", True)),
    )


def _words(text: str) -> str:
    return " ".join(text.split())
