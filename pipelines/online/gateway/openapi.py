"""The OpenAPI document, derived from the catalogue: every service with its features and types."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.online.gateway.errors import CODES
from pipelines.online.gateway.members import CLOCK
from pipelines.online.gateway.rules import CONTACT, REASONS, STATUSES, TAGS

Schema = dict[str, Any]
NOW = "2025-03-01T01:00:00Z"
SINCE = "2025-02-28T16:00:00Z"
SNAPSHOT = "20250228T160000000000Z-5f0c1d2e"
MEMBER_ID = "m0000042"
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
ABOUT = (
    "Member features for downstream apps. Every value says whether it may be used (`fresh`, "
    "`stale`) or why it is not there (`expired`, `absent`, `withheld`, `erased`), since when it "
    "holds, and how old the data behind its view is."
)
STATUS_WORDS = (
    "fresh: within the view's SLO; stale: late, yet usable; expired: too old; absent: not held; "
    "withheld: no consent; erased: the member was erased"
)


def openapi_document(catalog: Catalog, services: Collection[str]) -> bytes:
    """The document with these services, as JSON."""
    shown = [catalog.services[name] for name in sorted(services)]
    by_member = [service for service in shown if is_read_by_member(catalog, service)]
    document: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "Huitou gateway", "version": catalog.version, "description": ABOUT},
        "security": [{"bearer": []}, {}],
        "paths": {
            "/get-online-features": {"post": _feast(catalog, shown)},
            "/v1/members/{member_id}": {"get": _one(by_member)},
            "/v1/members:batch": {"post": _many(by_member)},
            "/v1/members/{member_id}/tags": {"get": _tags(by_member)},
            "/v1/services": {"get": _plain("services", "The services you may read", "Services")},
            "/openapi.json": {"get": _plain("openapi", "This document", "Document")},
            "/metrics": {"get": _metrics()},
            "/docs": {"get": _public("docs", "A page that shows this document", "text/html")},
            "/healthz": {"get": _public("healthz", "The process answers", "application/json")},
            "/readyz": {"get": _readyz()},
        },
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key (`huitou keys create`) or an OIDC token. "
                    "A gateway without either listens on loopback only and asks for none.",
                }
            },
            "schemas": _schemas(catalog, by_member),
        },
    }
    return orjson.dumps(document)


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


# -- operations ------------------------------------------------------------------------------------


def _feast(catalog: Catalog, services: list[Service]) -> Schema:
    features = sorted({f"{view}:{name}" for s in services for view, name in s.features})
    keys = sorted(
        {k for s in services for view, _ in s.features for k in catalog.views[view].join_keys}
    )
    columns = {key: {"type": "array", "items": {"type": "string"}} for key in keys}
    request: Schema = {
        "type": "object",
        "required": ["entities"],
        "properties": {
            "entities": {
                "type": "object",
                "description": "Join keys, each with its values: lists of one length.",
                "properties": columns,
                "minProperties": 1,
            },
            "feature_service": {"enum": [s.name for s in services]},
            "features": {
                "type": "array",
                "items": {"enum": features},
                "minItems": 1,
                "uniqueItems": True,
            },
            "full_feature_names": {"type": "boolean", "default": False},
            "now": _now_schema(),
        },
        "anyOf": [{"required": ["feature_service"]}, {"required": ["features"]}],
    }
    example = {
        "entities": {"member_id": [MEMBER_ID]},
        "feature_service": services[0].name if services else "chat_sidebar_v1",
        "full_feature_names": True,
    }
    return {
        "operationId": "getOnlineFeatures",
        "summary": "Online features by Feast's protocol",
        "description": "What Feast's SDK calls with `online_store: {type: remote}`. PRESENT is a "
        "value or a stored null; NOT_FOUND is absent, withheld or erased; OUTSIDE_MAX_AGE is "
        "expired. Instants are whole seconds since 1970. Names of features that two views share "
        "need `full_feature_names`.",
        "requestBody": _body(request, example),
        "responses": _responses("FeastResponse", 400, 408, 413, 415, reads=True),
    }


def _one(services: list[Service]) -> Schema:
    return {
        "operationId": "getMember",
        "summary": "All values of a service for one member",
        "parameters": [_member_id(), _service(services, required=True), _now()],
        "responses": _responses("Member", 400, reads=True),
    }


def _many(services: list[Service]) -> Schema:
    names = [service.name for service in services]
    request: Schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["service", "member_ids"],
        "properties": {
            "service": {"enum": names},
            "member_ids": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 256},
                "minItems": 1,
                "maxItems": 1000,
            },
            "now": _now_schema(),
        },
    }
    example = {"service": (names or ["chat_sidebar_v1"])[0], "member_ids": [MEMBER_ID, "m0000043"]}
    return {
        "operationId": "getMembers",
        "summary": "All values of a service for up to 1 000 members",
        "requestBody": _body(request, example),
        "responses": _responses("Members", 400, 408, 413, 415, reads=True),
    }


def _tags(services: list[Service]) -> Schema:
    with_tags = [service for service in services if (TAGS, "tags") in service.features]
    return {
        "operationId": "getTags",
        "summary": "The tags of a member that hold now",
        "parameters": [_member_id(), _service(with_tags, required=False), _now()],
        "responses": _responses("Tags", 400, reads=True),
    }


def _plain(name: str, summary: str, schema: str) -> Schema:
    return {"operationId": name, "summary": summary, "responses": _responses(schema)}


def _metrics() -> Schema:
    responses = _responses("Error", 403)
    responses["200"] = {
        "description": "Prometheus's text format",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    return {
        "operationId": "metrics",
        "summary": "Metrics (scope `metrics`)",
        "responses": responses,
    }


def _public(name: str, summary: str, media: str) -> Schema:
    ok = {"description": "Yes", "content": {media: {"schema": {}}}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {"200": ok, "405": _error(405)},
    }


def _readyz() -> Schema:
    found = _public("readyz", "The store answers too", "application/json")
    found["responses"]["503"] = _error(503)
    return found


# -- their pieces ----------------------------------------------------------------------------------


def _responses(schema: str, *more: int, reads: bool = False) -> Schema:
    statuses = [401, 405, 503, *more, *((403, 404, 429) if reads else ())]
    ok = {
        "description": "OK",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
    return {"200": ok, **{str(status): _error(status) for status in sorted(statuses)}}


def _error(status: int) -> Schema:
    codes = [code for code, of in CODES.items() if of == status]
    found: Schema = {
        "description": "One of the codes " + ", ".join(f"`{code}`" for code in codes),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def _body(schema: Schema, example: Any) -> Schema:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _member_id() -> Schema:
    return {
        "name": "member_id",
        "in": "path",
        "required": True,
        "description": "The member, percent-encoded.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
        "example": MEMBER_ID,
    }


def _service(services: list[Service], *, required: bool) -> Schema:
    names = [service.name for service in services]
    return {
        "name": "service",
        "in": "query",
        "required": required,
        "description": "Which service's promise to read; for tags by default your first that has.",
        "schema": {"enum": names},
        **({"example": names[0]} if names else {}),
    }


def _now() -> Schema:
    return {"name": "now", "in": "query", "required": False, "schema": _now_schema()}


def _now_schema() -> Schema:
    return {
        "type": "string",
        "format": "date-time",
        "description": "Replay: answer as if it were this instant (scope `replay`). The store "
        "still holds its last snapshot.",
    }


# -- schemas ---------------------------------------------------------------------------------------


def _schemas(catalog: Catalog, services: list[Service]) -> Schema:
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
        "required": ["status", "as_of", "age_s", "snapshot_id"],
        "properties": {
            "status": {"enum": ["fresh", "stale", "expired", "absent"]},
            "as_of": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "Everything that happened before this instant is in.",
            },
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
    state = {"status": "fresh", "as_of": SINCE, "age_s": 32_400, "snapshot_id": SNAPSHOT}
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
