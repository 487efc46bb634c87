"""A gateway over the sample in SQLite, called in process at the sample's own instant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pipelines.core.clock import FrozenClock
from pipelines.core.home import Brand
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample


class MakeClient(Protocol):
    def __call__(self, store: Any = None, token: str = "", **settings: Any) -> sample.LocalClient:
        """A client of a gateway with that store and those settings."""


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return sample.make_brand(tmp_path)


@pytest.fixture
def make_client(brand: Brand) -> Iterator[MakeClient]:
    made: list[sample.LocalClient] = []

    def make(store: Any = None, token: str = "", **settings: Any) -> sample.LocalClient:
        gateway = Gateway(
            brand,
            store or sample.sqlite_store(brand),
            settings=Settings(**{"request_log": False, **settings}),
            clock=FrozenClock(sample.NOW),
        )
        made.append(sample.LocalClient(gateway, token))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> sample.LocalClient:
    return make_client()
