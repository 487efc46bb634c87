"""The OpenAPI document, derived from the catalogue: every service with its features and types."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from pipelines.core.catalog import Catalog, Service
from pipelines.online.gateway.errors import CODES
from pipelines.online.gateway.rules import TAGS
from pipelines.online.gateway.schemas import MEMBER_ID, Schema, is_read_by_member, schemas

ABOUT = (
    "Member features for downstream apps. Every value says whether it may be used (`fresh`, "
    "`stale`) or why it is not there (`expired`, `absent`, `withheld`, `erased`), since when it "
    "holds, and how old the data behind its view is."
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
            "schemas": schemas(catalog, by_member),
        },
    }
    return orjson.dumps(document)


# -- operations ------------------------------------------------------------------------------------


def _feast(catalog: Catalog, services: list[Service]) -> Schema:
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
        "requestBody": _body(_feast_request(catalog, services), example),
        "responses": _responses("FeastResponse", 400, 408, 413, 415, reads=True),
    }


def _feast_request(catalog: Catalog, services: list[Service]) -> Schema:
    features = sorted({f"{view}:{name}" for s in services for view, name in s.features})
    keys = sorted(
        {k for s in services for view, _ in s.features for k in catalog.views[view].join_keys}
    )
    columns = {key: {"type": "array", "items": {"type": "string"}} for key in keys}
    return {
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
    example = {"service": (names or ["chat_sidebar_v1"])[0], "member_ids": [MEMBER_ID, "M00000043"]}
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
