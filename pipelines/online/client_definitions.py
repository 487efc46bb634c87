"""The generated part of the Python client: a class for each service, derived from the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.home import REPOSITORY
from pipelines.online.feast_definitions import BANNER
from pipelines.online.gateway.schemas import is_read_by_member, schema_name, views_of

SERVICES = REPOSITORY / "clients" / "python" / "huitou_client" / "services.py"
PYTHON_TYPES = {
    "String": "str",
    "Int64": "int",
    "Float64": "float",
    "Bool": "bool",
    "UnixTimestamp": "datetime",
}
WIDTH = 100


def generated(catalog: Catalog) -> dict[Path, str]:
    """What the client's generated file should hold."""
    return {SERVICES: services_text(catalog)}


def services_text(catalog: Catalog) -> str:
    """`services.py`: what each online service that is read by member promises."""
    shown = [
        service
        for service in catalog.services.values()
        if service.online and is_read_by_member(catalog, service)
    ]
    blocks = [
        block
        for service in shown
        for block in (
            *(_view_class(service, view) for view in views_of(catalog, service)),
            _service_class(catalog, service),
        )
    ]
    body = "\n\n\n".join(blocks)
    imports = ["from __future__ import annotations", "", "from dataclasses import dataclass"]
    if "datetime" in body:
        imports.append("from datetime import datetime")
    imports += [
        "from typing import ClassVar",
        "",
        "from huitou_client.answers import Answer, Features, Value",
    ]
    return "\n".join([BANNER, "", *imports, "", "", body]) + "\n"


def _view_class(service: Service, view: FeatureView) -> str:
    fields = [_field(view.feature(name)) for owner, name in service.features if owner == view.name]
    return "\n".join(
        [
            "@dataclass(frozen=True, slots=True)",
            f"class {_view_name(service, view)}(Features):",
            _docstring(view.description),
            "",
            *fields,
        ]
    )


def _service_class(catalog: Catalog, service: Service) -> str:
    fields = [
        f"    {view.name}: {_view_name(service, view)}" for view in views_of(catalog, service)
    ]
    return "\n".join(
        [
            "@dataclass(frozen=True, slots=True, kw_only=True)",
            f"class {schema_name(service.name)}(Answer):",
            _docstring(service.description),
            "",
            f"    service: ClassVar[str] = {json.dumps(service.name)}",
            "",
            *fields,
        ]
    )


def _field(feature: Feature) -> str:
    unit = f" Unit: {feature.unit}." if feature.unit else ""
    return f"    {feature.name}: Value[{_type(feature)}]\n" + _docstring(feature.description + unit)


def _type(feature: Feature) -> str:
    item = feature.feast_type.removeprefix("Array(").removesuffix(")")
    scalar = PYTHON_TYPES[item]
    return scalar if item == feature.feast_type else f"tuple[{scalar}, ...]"


def _docstring(words: str) -> str:
    text = words.replace("\\", "\\\\").replace('"""', "'''")
    if len(text) <= WIDTH - 10:
        return f'    """{text}"""'
    lines = wrap(text, WIDTH - 7)
    return "\n".join([f'    """{lines[0]}', *(f"    {line}" for line in lines[1:]), '    """'])


def _view_name(service: Service, view: FeatureView) -> str:
    return f"{schema_name(service.name)}{schema_name(view.name)}"
