"""A brand, and a store of each kind to publish it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.core.home import Brand
from pipelines.online.redis_store import RedisStore
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import OnlineStore


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path / "shop")


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, brand: Brand) -> Iterator[OnlineStore]:
    """The brand's online store, empty."""
    made: OnlineStore
    if request.param == "redis":
        made = RedisStore(request.getfixturevalue("redis_url"), brand.project)
    else:
        made = SqliteStore(brand.online_sqlite, brand.project)
    yield made
    made.close()
