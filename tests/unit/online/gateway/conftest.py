"""A gateway over the sample in SQLite, called in process at the sample's own instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.core.clock import Clock, FrozenClock
from pipelines.core.home import Brand
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample

MakeClient = Callable[..., TestClient]


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return sample.make_brand(tmp_path)


@pytest.fixture
def make_client(brand: Brand) -> Iterator[MakeClient]:
    """Builds a client of a gateway; `store`, `settings` and `clock` as a test needs them."""
    with ExitStack() as stack:

        def make(
            store: Any = None, settings: Settings | None = None, clock: Clock | None = None
        ) -> TestClient:
            gateway = Gateway(
                brand,
                store or sample.sqlite_store(brand),
                settings=settings or Settings(request_log=False),
                clock=clock or FrozenClock(sample.NOW),
            )
            return stack.enter_context(TestClient(gateway, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()
