"""What the gateway refuses, each with a status and a code for machines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.errors import CODES
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient
from tests.unit.online.gateway.conftest import MakeClient

FEAST = "/get-online-features"
BATCH = "/v1/members:batch"
ANNA = {"member_id": ["anna"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/", None, "not_found"),
        ("GET", "/v1/members/", None, "not_found"),
        ("GET", "/v1/members/anna/orders", None, "not_found"),
        ("GET", "/v1/members/anna", None, "bad_request"),
        ("GET", "/v1/members/anna?service=", None, "bad_request"),
        ("GET", "/v1/members/anna?service=nope_v1", None, "unknown_service"),
        ("GET", "/v1/members/anna?service=training_v1", None, "unknown_service"),
        ("GET", "/v1/members/anna?service=store_v1", None, "service_not_by_member"),
        ("GET", "/v1/members/anna?service=%FF", None, "bad_request"),
        ("GET", "/v1/members/%FF?service=lenient_v1", None, "bad_request"),
        ("GET", f"/v1/members/{'x' * 257}?service=lenient_v1", None, "bad_request"),
        ("GET", "/v1/members/anna?service=lenient_v1&now=yesterday", None, "bad_now"),
        ("GET", "/v1/members/anna?service=lenient_v1&now=2025-03-01T00:00:00", None, "bad_now"),
        ("GET", "/v1/members/anna/tags?service=lenient_v1", None, "bad_request"),
        ("DELETE", "/v1/members/anna", None, "method_not_allowed"),
        ("GET", FEAST, None, "method_not_allowed"),
        ("POST", "/v1/services", {}, "method_not_allowed"),
        ("POST", BATCH, [], "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1"}, "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1", "member_ids": []}, "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1", "member_ids": [1]}, "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1", "member_ids": [""]}, "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1", "member_ids": ["a"], "x": 1}, "bad_request"),
        ("POST", BATCH, {"service": "lenient_v1", "member_ids": ["a"], "now": 1}, "bad_now"),
        ("POST", FEAST, {}, "no_features"),
        ("POST", FEAST, {"feature_service": "lenient_v1"}, "bad_request"),
        ("POST", FEAST, {"feature_service": 1, "entities": ANNA}, "bad_request"),
        ("POST", FEAST, {"feature_service": "nope", "entities": ANNA}, "unknown_service"),
        ("POST", FEAST, {"features": ["order_count_90d"], "entities": ANNA}, "bad_request"),
        ("POST", FEAST, {"features": ["a:b"], "entities": ANNA}, "unknown_feature"),
        ("POST", FEAST, {"features": ["member_orders_v1:x"], "entities": ANNA}, "unknown_feature"),
        ("POST", FEAST, {"features": "a:b", "entities": ANNA}, "bad_request"),
        (
            "POST",
            FEAST,
            {"feature_service": "lenient_v1", "entities": {"store_id": ["s1"]}},
            "missing_entity",
        ),
        (
            "POST",
            FEAST,
            {"feature_service": "store_v1", "entities": {"store_id": ["a"], "member_id": []}},
            "bad_request",
        ),
        (
            "POST",
            FEAST,
            {"feature_service": "lenient_v1", "entities": {"member_id": [1]}},
            "bad_request",
        ),
        (
            "POST",
            FEAST,
            {
                "features": ["member_orders_v1:last_order_at"] * 2,
                "entities": ANNA,
                "full_feature_names": True,
            },
            "feature_name_collision",
        ),
        (
            "POST",
            FEAST,
            {"feature_service": "lenient_v1", "entities": ANNA, "full_feature_names": "yes"},
            "bad_request",
        ),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    client: LocalClient, method: str, path: str, body: Any, code: str
) -> None:
    answer = client.request(method, path, json=body)
    error = answer.json()["error"]
    assert (error["code"], answer.status_code) == (code, CODES[code])
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]


def test_a_body_that_is_no_json_is_refused(client: LocalClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(BATCH, content=b'{"service"', headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_json")


def test_a_body_said_to_be_something_else_is_refused(client: LocalClient) -> None:
    answer = client.post(BATCH, content=b"{}", headers={"Content-Type": "text/xml"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_a_charset_in_the_content_type_does_no_harm(client: LocalClient) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"service": "lenient_v1", "member_ids": ["anna"]})
    assert client.post(BATCH, content=body, headers=headers).status_code == 200


def test_a_body_too_large_is_refused(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=100)
    answer = client.post(BATCH, content=b"x" * 101, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_body_said_to_be_too_large_is_refused_before_it_is_sent(client: LocalClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(10**9)}
    answer = client.post(BATCH, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_message_repeats_only_the_beginning_of_what_was_sent(client: LocalClient) -> None:
    answer = client.post(BATCH, json={"service": "s" * 10_000, "member_ids": ["anna"]})
    assert answer.status_code == 404
    assert len(answer.content) < 500


def test_a_method_refused_names_those_allowed(client: LocalClient) -> None:
    assert client.post("/v1/services").headers["allow"] == "GET, HEAD"
    assert client.get(BATCH).headers["allow"] == "POST"


def test_head_answers_as_get_without_a_body(client: LocalClient) -> None:
    answer = client.request("HEAD", "/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_requests_beyond_the_limit_are_told_to_come_back(brand: Brand) -> None:
    """One slot, held by a request whose body is still on its way."""
    settings = Settings(max_in_flight=1, request_log=False)
    gateway = Gateway(brand, sample.sqlite_store(brand), settings=settings)
    client = LocalClient(gateway)

    async def crowd() -> tuple[int, str]:
        coming: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        held = asyncio.create_task(gateway(_post(BATCH), lambda: coming, _ignore))
        await asyncio.sleep(0)
        transport_answer = await client._request("GET", "/v1/services")
        coming.set_result({"type": "http.disconnect"})
        await held
        return transport_answer.status_code, transport_answer.headers["retry-after"]

    assert client._runner.run(crowd()) == (503, "1")
    client.close()


def test_a_body_that_does_not_come_is_given_up(brand: Brand) -> None:
    settings = Settings(body_timeout_s=0.0, request_log=False)
    gateway = Gateway(brand, sample.sqlite_store(brand), settings=settings)
    sent: list[Any] = []

    async def wait() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {}

        async def send(message: Any) -> None:
            sent.append(message)

        task = asyncio.create_task(gateway(_post(BATCH), receive, send))
        await asyncio.sleep(0.01)
        gateway.give_up_slow()
        await task

    asyncio.run(wait())
    assert sent[0]["status"] == 408


def test_probes_answer_without_a_store(make_client: MakeClient, brand: Brand) -> None:
    client = make_client(sample.sqlite_store(brand, filled=False))
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_store_that_is_away_is_503_and_comes_back_without_a_restart(
    make_client: MakeClient, brand: Brand
) -> None:
    store = sample.sqlite_store(brand)
    client = make_client(store)
    url = "/v1/members/anna?service=lenient_v1"
    assert client.get(url).status_code == 200
    away = brand.online_sqlite.rename(brand.online_sqlite.with_suffix(".away"))
    answer = client.get(url)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "store_unavailable"
    away.rename(brand.online_sqlite)
    assert client.get(url).status_code == 200


def test_a_brand_without_definitions_is_not_served(brand: Brand) -> None:
    brand.catalog.unlink()
    with pytest.raises(UsageError, match="no definitions"):
        Gateway(brand, sample.sqlite_store(brand, filled=False))


def test_a_failure_of_our_own_says_nothing_of_the_inside(
    make_client: MakeClient, brand: Brand, caplog: pytest.LogCaptureFixture
) -> None:
    store = sample.sqlite_store(brand)
    with store._transaction() as writer:
        table = f"{brand.project}_{sample.ORDERS.name}"
        writer.execute(f"update {table} set value = x'ff00'")
    answer = make_client(store).get("/v1/members/anna?service=lenient_v1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "Value" not in answer.text
    assert "failed" in caplog.text


def _post(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }


async def _ignore(message: Any) -> None:
    """Take what nobody reads."""
