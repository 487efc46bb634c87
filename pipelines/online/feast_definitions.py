"""The text of Feast's definitions: `views.py` and `services.py`, derived from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.files import write_text
from pipelines.core.home import DBT_PROJECT, FEATURE_REPO

BANNER = '"""Generated from dbt_project/models/features by `make generate`; edit those instead."""'


def generated(catalog: Catalog, repo: Path = FEATURE_REPO) -> dict[Path, str]:
    """What each generated file of the feature repository should hold."""
    return {
        repo / "views.py": views_text(catalog),
        repo / "services.py": services_text(catalog),
    }


def generate() -> None:
    """Write the generated files from dbt's YAML as it stands."""
    for path, text in generated(Catalog.from_dbt(DBT_PROJECT)).items():
        write_text(path, text)


def views_text(catalog: Catalog) -> str:
    """`views.py`: one Feast view for each view of the catalogue."""
    views = catalog.views.values()
    types = {"String"} | {
        word.strip(")")
        for view in views
        for feature in view.features
        for word in feature.feast_type.split("(")
    }
    entities = sorted({view.entity for view in views})
    head = [
        BANNER,
        "",
        f"from entities import {', '.join(entities)}",
        "from feast import FeatureView, Field",
        f"from feast.types import {', '.join(sorted(types))}",
        "from sources import HOLDS_UNTIL_THE_NEXT, log_of",
    ]
    return "\n".join([*(head if entities else head[:1]), *map(_view, views)]) + "\n"


def services_text(catalog: Catalog) -> str:
    """`services.py`: one Feast service for each service of the catalogue."""
    services = catalog.services.values()
    views = sorted({view for service in services for view, _ in service.features})
    head = [
        BANNER,
        "",
        "from feast import FeatureService",
        f"from views import {', '.join(views)}",
    ]
    bodies = [_service(service, catalog) for service in services]
    return "\n".join([*(head if bodies else head[:1]), *bodies]) + "\n"


def _view(view: FeatureView) -> str:
    tags = {
        "dbt_model": view.name,
        "domain": view.domain,
        "max_age_s": str(view.max_age_s),
        "pii": view.pii,
        "purpose": view.purpose,
        "slo_s": str(view.slo_s),
    }
    keys = [Feature(key, "varchar", f"Key of the {view.entity}.") for key in view.join_keys]
    fields = "".join(f"        {_field(f)},\n" for f in [*keys, *view.features])
    return (
        f"\n{view.name} = FeatureView(\n"
        f"    name={_text(view.name)},\n"
        f"    description={_text(view.description)},\n"
        f"    entities=[{view.entity}],\n"
        f"    schema=[\n{fields}    ],\n"
        f"    source=log_of({_text(view.name)}),\n"
        f"    ttl=HOLDS_UNTIL_THE_NEXT,\n"
        f"    online=True,\n"
        f"    owner={_text(view.owner)},\n"
        f"    tags={_tags(tags)},\n)"
    )


def _field(feature: Feature) -> str:
    unit = f", tags={_tags({'unit': feature.unit})}" if feature.unit else ""
    words = _text(feature.description)
    return (
        f"Field(name={_text(feature.name)}, dtype={feature.feast_type}, description={words}{unit})"
    )


def _service(service: Service, catalog: Catalog) -> str:
    chosen: dict[str, list[str]] = {}
    for view, feature in service.features:
        chosen.setdefault(view, []).append(feature)
    lines = ""
    for view, names in chosen.items():
        every = names == [feature.name for feature in catalog.views[view].features]
        lines += f"        {view}{'' if every else f'[{json.dumps(names)}]'},\n"
    tags = {
        "online": str(service.online).lower(),
        "serve_stale": str(service.serve_stale).lower(),
    }
    return (
        f"\n{service.name} = FeatureService(\n"
        f"    name={_text(service.name)},\n"
        f"    description={_text(service.description)},\n"
        f"    features=[\n{lines}    ],\n"
        f"    owner={_text(service.owner)},\n"
        f"    tags={_tags(tags)},\n)"
    )


def _tags(tags: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_text(key)}: {_text(value)}" for key, value in tags.items()) + "}"


def _text(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


if __name__ == "__main__":
    generate()
