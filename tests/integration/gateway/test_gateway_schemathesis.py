"""schemathesis over the OpenAPI document, in process, on both stores: nothing undocumented.

Bounded and derandomised, so that a run takes seconds and fails for a reason, not for luck.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from pipelines.core.clock import FrozenClock
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample

pytestmark = pytest.mark.integration

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    brand = sample.make_brand(tmp_path_factory.mktemp("schemathesis"))
    if request.param == "redis":
        store: Any = sample.redis_store(brand, request.getfixturevalue("redis_server"))
    else:
        store = sample.sqlite_store(brand)
    quiet = Settings(request_log=False)
    yield Gateway(brand, store, settings=quiet, clock=FrozenClock(sample.NOW))
    store.close()


POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=lambda mode: str(mode.value))
def test_no_request_finds_what_the_document_does_not_say(
    gateway: Gateway, mode: schemathesis.GenerationMode
) -> None:
    document = schemathesis.openapi.from_asgi("/openapi.json", gateway)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 9  # all but the document itself
    for operation in operations:
        takes = [*operation.iter_parameters(), *operation.body]
        if mode is NEGATIVE and not takes:
            continue  # nothing to get wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=60,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)

        check()
