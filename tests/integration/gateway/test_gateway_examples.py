"""The examples do what they say, against a real gateway over the real definitions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.core.catalog import Catalog
from pipelines.core.home import DBT_PROJECT, REPOSITORY, Home
from pipelines.online import feast_repo
from pipelines.online.access.keys import create_key
from pipelines.online.sqlite_store import SqliteStore
from tests import gateway_sample as sample
from tests.conftest import missing
from tests.integration.gateway.conftest import answers, spawned, until

pytestmark = pytest.mark.integration

EXAMPLES = REPOSITORY / "examples"
NOW = datetime.now(UTC)
MEMBER = "M00000001"
TAGS = sample.intervals(
    ("lifecycle.repeat_active", NOW - sample.DAY, NOW + 90 * sample.DAY),
    ("coupon.expiring_3d", NOW + sample.DAY, NOW + 2 * sample.DAY),
)
ROWS = {
    "member_orders_v1": {"last_order_at": datetime(2025, 3, 1, 4, 30, tzinfo=UTC)},
    "member_tags_v1": {**TAGS, "tag_set_hash": "x"},
    "member_contact_v1": {"consent_marketing": True, "consent_profiling": True},
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What an example needs to find a gateway over the definitions of this repository."""
    home = Home(tmp_path_factory.mktemp("home"))
    brand = home.brand("demo")
    brand.root.mkdir(parents=True)
    catalog = Catalog.from_dbt(DBT_PROJECT)
    catalog.save(brand.catalog)
    store = SqliteStore(brand.online_sqlite, brand.project)
    for view in catalog.views.values():
        rows = {MEMBER: ROWS[view.name]} if view.name in ROWS else {}
        sample.publish(store, view, rows, NOW - timedelta(minutes=5))
    store.close()
    services = [name for name, service in catalog.services.items() if service.online]
    _, key = create_key(brand, "examples", services, now=NOW)
    with spawned(home.root, "--brand", "demo") as url:
        until(lambda: answers(f"{url}/readyz"))
        yield {
            **os.environ,
            "HUITOU_URL": url,
            "HUITOU_KEY": key,
            "HUITOU_PROJECT": brand.project,
            "HUITOU_REGISTRY": str(brand.registry),
            "HUITOU_ROOT": str(brand.root),
            "PYTHONPATH": str(REPOSITORY / "clients" / "python"),
            "FEAST_USAGE": "False",
        }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [*command, MEMBER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl(environment: dict[str, str]) -> None:
    found = run(["bash", str(EXAMPLES / "curl.sh")], environment)
    assert found.count('"lifecycle.repeat_active"') == 4
    assert "coupon.expiring_3d" not in found  # begins tomorrow
    assert '{"promo_allowed":true,"reasons":[]}' in found
    assert '{"promo_allowed":false,"reasons":["consent"]}' in found


def test_curl_without_a_key_is_refused(environment: dict[str, str]) -> None:
    command = ["bash", str(EXAMPLES / "curl.sh"), MEMBER]
    without = {**environment, "HUITOU_KEY": ""}
    done = subprocess.run(command, env=without, capture_output=True, text=True, check=False)
    assert done.returncode == 22
    assert '"code":"unauthorized"' in done.stdout


def test_python(environment: dict[str, str]) -> None:
    found = run([sys.executable, str(EXAMPLES / "python_client.py")], environment)
    assert "last order: 2025-03-01 04:30:00+00:00" in found
    assert "tag: lifecycle.repeat_active until" in found
    assert f"{MEMBER} True\nnobody False consent\n" in found


def test_javascript(environment: dict[str, str]) -> None:
    node = shutil.which("node")
    if not node:
        missing("Node", "install Node 18 or later")
    found = run([str(node), str(EXAMPLES / "member.mjs")], environment)
    assert found.splitlines() == [
        "last order: 2025-03-01T04:30:00Z",
        "tags: lifecycle.repeat_active",
        "promotion: yes",
    ]


def test_feast_sdk(environment: dict[str, str]) -> None:
    brand = Home(Path(environment["HUITOU_ROOT"]).parents[1]).brand("demo")
    assert feast_repo.apply(brand)
    for kind in ("huitou_client.feast_store.HuitouOnlineStore", "remote"):
        command = [sys.executable, str(EXAMPLES / "feast_sdk.py")]
        found = run(command, {**environment, "FEAST_STORE": kind})
        assert "['lifecycle.repeat_active']" in found
        assert "consent_marketing" in found
        assert ("datetime.datetime(2025, 3, 1, 4, 30" in found) == (kind != "remote")
