"""What a caller is told when its request is not answered: a status, a code for machines, words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.core.errors import HuitouError

#: Every code a response can carry, with its status; the OpenAPI document lists them.
CODES: Mapping[str, int] = MappingProxyType(
    {
        "bad_request": 400,
        "bad_json": 400,
        "bad_now": 400,
        "no_features": 400,
        "unknown_feature": 400,
        "feature_name_collision": 400,
        "missing_entity": 400,
        "service_not_by_member": 400,
        "too_many_members": 400,
        "unauthorized": 401,
        "service_not_granted": 403,
        "feature_not_granted": 403,
        "scope_missing": 403,
        "not_found": 404,
        "unknown_service": 404,
        "method_not_allowed": 405,
        "body_timeout": 408,
        "body_too_large": 413,
        "unsupported_media_type": 415,
        "rate_limited": 429,
        "internal": 500,
        "store_unavailable": 503,
        "issuer_unavailable": 503,
        "overloaded": 503,
    }
)


SHOWN = 200  # characters of a message, which may repeat what a caller sent


class RefusedError(HuitouError):
    """A request that is answered with an error."""

    def __init__(
        self,
        code: str,
        message: str,
        remedy: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message if len(message) <= SHOWN else f"{message[:SHOWN]}…", remedy)
        self.code = code
        self.status = CODES[code]
        self.headers = headers
