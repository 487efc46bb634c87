"""Files that change while the gateway runs, and what it writes down of its requests."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.access.erasures import erase_online, erasures_path
from pipelines.online.access.keys import create_key, keys_path, revoke_key
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient
from tests.unit.online.gateway.conftest import MakeClient

URL = "/v1/members/anna?service=lenient_v1"


def test_new_definitions_are_served_without_a_restart(client: LocalClient, brand: Brand) -> None:
    before = client.get("/v1/services").json()["definition_version"]
    added = sample.service("tags_only_v1", sample.TAGS)
    sample.catalog(services=(*sample.SERVICES, added)).save(brand.catalog)
    assert client.get("/v1/members/anna?service=tags_only_v1").status_code == 404
    client.gateway.reload()
    assert client.get("/v1/members/anna?service=tags_only_v1").status_code == 200
    assert client.get("/v1/services").json()["definition_version"] != before
    assert "TagsOnlyV1" in client.get("/openapi.json").text


@pytest.mark.parametrize("text", ["{", "[]", '{"views": {}}', ""])
def test_definitions_that_cannot_be_read_leave_the_last_good_ones(
    client: LocalClient, brand: Brand, text: str
) -> None:
    brand.catalog.write_text(text)
    client.gateway.reload()
    assert client.get(URL).status_code == 200
    metrics = client.get("/metrics").text
    assert 'huitou_reloads_total{file="catalog",outcome="failed"} 1.0' in metrics


def test_definitions_that_vanish_leave_the_last_good_ones(
    client: LocalClient, brand: Brand
) -> None:
    brand.catalog.unlink()
    client.gateway.reload()
    assert client.get(URL).status_code == 200


def test_a_key_made_closes_a_running_gateway_and_a_key_revoked_is_out(
    client: LocalClient, brand: Brand
) -> None:
    now = datetime.now(UTC)
    assert client.get(URL).status_code == 200
    key, token = create_key(brand, "sidebar", ["lenient_v1"], now=now)
    client.gateway.reload()
    assert client.get(URL).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get(URL, headers=headers).status_code == 200
    revoke_key(brand, key.id, now=now)
    client.gateway.reload()
    assert client.get(URL, headers=headers).status_code == 401


def test_keys_that_vanish_let_nobody_in(client: LocalClient, brand: Brand) -> None:
    create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    client.gateway.reload()
    keys_path(brand).unlink()
    client.gateway.reload()
    assert client.get(URL).status_code == 401


def test_keys_that_cannot_be_read_leave_the_last_good_ones(
    make_client: MakeClient, brand: Brand
) -> None:
    _, token = create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    client = make_client(token=token)
    keys_path(brand).write_text('{"keys": [{}]}')
    client.gateway.reload()
    assert client.get(URL).status_code == 200


def test_an_erasure_takes_hold_without_a_restart(client: LocalClient, brand: Brand) -> None:
    erase_online(brand, ["anna"])
    client.gateway.reload()
    found = client.get(URL).json()["features"]["member_orders_v1"]["order_count_90d"]
    assert found["status"] == "erased"


@pytest.mark.parametrize("text", [None, "hello\n", "é\n"])
def test_who_was_erased_stays_erased_whatever_becomes_of_the_list(
    client: LocalClient, brand: Brand, text: str | None
) -> None:
    erase_online(brand, ["anna"])
    client.gateway.reload()
    path = erasures_path(brand)
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    client.gateway.reload()
    found = client.get(URL).json()["features"]["member_orders_v1"]["order_count_90d"]
    assert found["status"] == "erased"


def test_a_folder_that_is_none_any_more_lets_nobody_in(client: LocalClient, brand: Brand) -> None:
    create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    client.gateway.reload()
    shutil.rmtree(brand.root / "access")
    (brand.root / "access").write_text("a file")
    client.gateway.reload()
    assert client.get(URL).status_code == 401


@pytest.mark.parametrize("name", ["catalog.json", "access/keys.json", "access/oidc.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"issuer": "https://x", "odd": 1}'])
def test_a_file_that_cannot_be_read_at_the_start_is_named(
    brand: Brand, name: str, text: str
) -> None:
    path = brand.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(UsageError, match=path.name):
        Gateway(brand, sample.sqlite_store(brand, filled=False))


def test_a_log_that_cannot_be_written_fails_no_request_and_loses_no_line(
    client: LocalClient, brand: Brand
) -> None:
    (brand.root / "audit").write_text("a file")
    assert client.get(URL).status_code == 200
    client.gateway.flush()
    (brand.root / "audit").unlink()
    assert client.get(URL).status_code == 200
    client.gateway.flush()
    (audit,) = (brand.root / "audit").iterdir()
    assert len(audit.read_text().splitlines()) == 2


def test_who_read_which_service_for_how_many_is_written_down(brand: Brand) -> None:
    key, token = create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    client = _client(brand, token)
    client.get(URL, headers={"X-Request-Id": "trace-1"})
    body = {"service": "lenient_v1", "member_ids": ["anna", "bao"]}
    client.post("/v1/members:batch", json=body)
    client.get("/v1/members/anna?service=probe_v1")  # refused: nothing was read
    client.gateway.flush()
    (path,) = (brand.root / "audit").glob("reads-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["who"], line["service"], line["members"]) for line in lines] == [
        (f"key:{key.id}", "lenient_v1", 1),
        (f"key:{key.id}", "lenient_v1", 2),
    ]
    assert lines[0]["request_id"] == "trace-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client.close()


def test_no_log_names_a_member_or_a_key(
    brand: Brand, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    _, token = create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    client = _client(brand, token)
    client.get(URL)
    client.get("/v1/members/anna/secret-path")
    body = {"service": "lenient_v1", "member_ids": ["anna"]}
    client.post("/v1/members:batch", json=body)
    feast = {"feature_service": "lenient_v1", "entities": {"member_id": ["anna"]}}
    client.post("/get-online-features", json=feast)
    client.gateway.flush()
    requests = capfdbinary.readouterr().err.decode()
    routes = [json.loads(line)["route"] for line in requests.splitlines() if line.startswith("{")]
    assert routes == [
        "/v1/members/{member_id}",
        "unknown",
        "/v1/members:batch",
        "/get-online-features",
    ]
    audit = "".join(path.read_text() for path in (brand.root / "audit").iterdir())
    for log in (requests, audit):
        assert "anna" not in log
        assert token.split("_")[2] not in log
    client.close()


@pytest.mark.parametrize("given", ["a b", "x" * 65, "ä", ""])
def test_a_request_id_that_would_spoil_the_log_is_replaced(client: LocalClient, given: str) -> None:
    answer = client.get("/healthz", headers={"X-Request-Id": given.encode()})  # type: ignore[dict-item]
    assert answer.headers["x-request-id"] not in ("", given)


def _client(brand: Brand, token: str) -> LocalClient:
    return LocalClient(Gateway(brand, sample.sqlite_store(brand), settings=Settings()), token)
