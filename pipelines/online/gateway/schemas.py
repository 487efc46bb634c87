"""The schemas of the OpenAPI document: what answers look like, by service, with examples."""

from __future__ import annotations

from typing import Any

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.online.gateway.errors import CODES
from pipelines.online.gateway.members import CLOCK
from pipelines.online.gateway.rules import CONTACT, REASONS, STATUSES, TAGS

Schema = dict[str, Any]
NOW = "2025-03-01T01:00:00Z"
SINCE = "2025-02-28T16:00:00Z"
SNAPSHOT = "20250228T160000000000Z-5f0c1d2e"
MEMBER_ID = "M00000042"
SCALARS: dict[str, Schema] = {
    "String": {"type": "string"},
    "Int64": {"type": "integer"},
    "Float64": {"type": "number"},
    "Bool": {"type": "boolean"},
    "UnixTimestamp": {"type": "string", "format": "date-time"},
}
EXAMPLES: dict[str, Any] = {
    "String": "miniapp",
    "Int64": 3,
    "Float64": 0.25,
    "Bool": True,
    "UnixTimestamp": "2025-02-20T09:30:00Z",
}
STATUS_WORDS = (
    "fresh: within the view's SLO; stale: late, yet usable; expired: too old; absent: not held; "
    "withheld: no consent; erased: the member was erased"
)


def schema_name(service: str) -> str:
    """The name of a service's schema and of its class in the client: `chat_sidebar_v1` is
    `ChatSidebarV1`.
    """
    return "".join(word.capitalize() for word in service.split("_"))


def is_read_by_member(catalog: Catalog, service: Service) -> bool:
    """Whether a member's id is all it takes to read the service."""
    return all(catalog.views[view].join_keys == ("member_id",) for view, _ in service.features)


def views_of(catalog: Catalog, service: Service) -> list[FeatureView]:
    """The views that the service reads, in the order of its promise."""
    return [catalog.views[name] for name in dict.fromkeys(view for view, _ in service.features)]


def schemas(catalog: Catalog, services: list[Service]) -> Schema:
    """The schemas of all answers: general ones, and one for each service and each view of it."""
    own = {schema_name(service.name): _service_schema(catalog, service) for service in services}
    views = {
        f"{schema_name(service.name)}_{view.name}": _view_schema(service, view)
        for service in services
        for view in views_of(catalog, service)
    }
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in own] or [{"type": "object"}]
    examples = [_example(catalog, service) for service in services[:1]]
    return {
        **own,
        **views,
        "Member": {"anyOf": refs, "examples": examples},
        "Members": _members_schema(catalog, services, refs),
        "Tags": _tags_schema(),
        "ViewState": _view_state(),
        "Clock": _clock_schema(),
        "Eligibility": _eligibility_schema(),
        "FeastResponse": _feast_response(),
        "Services": _services_schema(),
        "Document": {"type": "object", "required": ["openapi", "paths"]},
        "Error": _error_schema(),
    }


def _head() -> Schema:
    return {
        "service": {"type": "string"},
        "now": {"type": "string", "format": "date-time"},
        "snapshot_id": {"type": ["string", "null"], "description": "The newest of the views'."},
        "definition_version": {"type": "string"},
        "views": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/ViewState"},
        },
    }


def _service_schema(catalog: Catalog, service: Service) -> Schema:
    """A member as this service promises it. In a batch the head stands once, around all."""
    name = schema_name(service.name)
    features = {
        view.name: {
            "$ref": f"#/components/schemas/{name}_{view.name}",
            "description": view.description,
        }
        for view in views_of(catalog, service)
    }
    properties: Schema = {
        **_head(),
        "member_id": {"type": "string"},
        "features": {"type": "object", "required": list(features), "properties": features},
    }
    if any(column in service.features for column in CLOCK.values()):
        properties["clock"] = {"$ref": "#/components/schemas/Clock"}
    if any(view == CONTACT for view, _ in service.features):
        properties["eligibility"] = {"$ref": "#/components/schemas/Eligibility"}
    return {
        "type": "object",
        "description": service.description,
        "required": ["member_id", "features"],
        "properties": properties,
    }


def _view_schema(service: Service, view: FeatureView) -> Schema:
    names = [name for owner, name in service.features if owner == view.name]
    return {
        "type": "object",
        "required": names,
        "properties": {name: _value_schema(view.feature(name)) for name in names},
    }


def _value_schema(feature: Feature) -> Schema:
    item = feature.feast_type.removeprefix("Array(").removesuffix(")")
    scalar = SCALARS[item]
    if item != feature.feast_type:
        value: Schema = {"type": ["array", "null"], "items": scalar}
    else:
        value = {**scalar, "type": [scalar["type"], "null"]}
    unit = f" Unit: {feature.unit}." if feature.unit else ""
    return {
        "type": "object",
        "description": feature.description + unit,
        "required": ["value", "status", "since"],
        "properties": {
            "value": value,
            "status": {"enum": list(STATUSES), "description": STATUS_WORDS},
            "since": {"type": ["string", "null"], "format": "date-time"},
        },
    }


def _members_schema(catalog: Catalog, services: list[Service], refs: list[Schema]) -> Schema:
    example: list[Schema] = []
    for service in services[:1]:
        whole = _example(catalog, service)
        member = {key: whole.pop(key) for key in list(whole) if key not in _head()}
        example = [{**whole, "members": [member]}]
    return {
        "type": "object",
        "required": [*_head(), "members"],
        "properties": {**_head(), "members": {"type": "array", "items": {"anyOf": refs}}},
        "examples": example,
    }


def _tags_schema() -> Schema:
    tag = {
        "type": "object",
        "required": ["code", "from", "until"],
        "properties": {
            "code": {"type": "string"},
            "from": {"type": "string", "format": "date-time"},
            "until": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "First instant at which it no longer holds; null: no end known.",
            },
        },
    }
    own = {
        "member_id": {"type": "string"},
        "status": {"enum": list(STATUSES), "description": STATUS_WORDS},
        "since": {"type": ["string", "null"], "format": "date-time"},
        "is_partly_withheld": {
            "type": "boolean",
            "description": "Whether tags that profile are left out for want of consent.",
        },
        "tags": {"type": "array", "items": tag},
    }
    example = {
        **_head_example("chat_sidebar_v1", [TAGS]),
        "member_id": MEMBER_ID,
        "status": "fresh",
        "since": SINCE,
        "is_partly_withheld": False,
        "tags": [{"code": "lifecycle.repeat_active", "from": SINCE, "until": None}],
    }
    return {
        "type": "object",
        "required": [*_head(), *own],
        "properties": {**_head(), **own},
        "examples": [example],
    }


def _view_state() -> Schema:
    return {
        "type": "object",
        "required": ["status", "as_of", "known_at", "published_at", "age_s", "snapshot_id"],
        "properties": {
            "status": {"enum": ["fresh", "stale", "expired", "absent"]},
            "as_of": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "Everything that happened before this instant is in.",
            },
            "known_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "As far as it was known at this instant.",
            },
            "published_at": {"type": ["string", "null"], "format": "date-time"},
            "age_s": {"type": ["integer", "null"], "description": "now minus as_of"},
            "snapshot_id": {"type": ["string", "null"]},
        },
    }


def _clock_schema() -> Schema:
    return {
        "type": "object",
        "description": "Whole days, from what is stored and now; null where it is not known.",
        "properties": {name: {"type": ["integer", "null"]} for name in CLOCK},
    }


def _eligibility_schema() -> Schema:
    return {
        "type": "object",
        "description": "Whether a promotion may be sent now. Fails closed: missing consent or "
        "data too old to tell is a reason.",
        "required": ["promo_allowed", "reasons"],
        "properties": {
            "promo_allowed": {"type": "boolean"},
            "reasons": {"type": "array", "items": {"enum": list(REASONS)}},
        },
    }


def _feast_response() -> Schema:
    statuses = ["PRESENT", "NOT_FOUND", "OUTSIDE_MAX_AGE"]
    vector = {
        "type": "object",
        "required": ["values", "statuses", "event_timestamps"],
        "properties": {
            "values": {"type": "array"},
            "statuses": {"type": "array", "items": {"enum": statuses}},
            "event_timestamps": {"type": "array", "items": {"type": "string"}},
        },
    }
    names = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "required": ["results", "metadata"],
        "properties": {
            "results": {"type": "array", "items": vector},
            "metadata": {
                "type": "object",
                "required": ["feature_names"],
                "properties": {"feature_names": names},
            },
        },
    }


def _services_schema() -> Schema:
    return {
        "type": "object",
        "required": ["definition_version", "services"],
        "properties": {
            "definition_version": {"type": "string"},
            "services": {
                "type": "array",
                "items": {"type": "object", "required": ["name", "description", "views"]},
            },
        },
    }


def _error_schema() -> Schema:
    return {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "remedy", "request_id"],
                "properties": {
                    "code": {"enum": list(CODES)},
                    "message": {"type": "string"},
                    "remedy": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            }
        },
    }


# -- examples --------------------------------------------------------------------------------------


def _head_example(service: str, views: list[str]) -> Schema:
    state = {
        "status": "fresh",
        "as_of": SINCE,
        "known_at": SINCE,
        "published_at": SINCE,
        "age_s": 32_400,
        "snapshot_id": SNAPSHOT,
    }
    return {
        "service": service,
        "now": NOW,
        "snapshot_id": SNAPSHOT,
        "definition_version": "0123456789ab",
        "views": dict.fromkeys(views, state),
    }


def _example(catalog: Catalog, service: Service) -> Schema:
    views = views_of(catalog, service)
    features = {
        view.name: {
            name: {"value": _value(view.feature(name)), "status": "fresh", "since": SINCE}
            for owner, name in service.features
            if owner == view.name
        }
        for view in views
    }
    head = _head_example(service.name, [view.name for view in views])
    return {**head, "member_id": MEMBER_ID, "features": features}


def _value(feature: Feature) -> Any:
    item = feature.feast_type.removeprefix("Array(").removesuffix(")")
    return EXAMPLES[item] if item == feature.feast_type else [EXAMPLES[item]]
