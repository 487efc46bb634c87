"""The Python client: against the gateway in process, and how it retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from huitou_client import AsyncClient, Client, GatewayError, Retries, Status, UnavailableError
from huitou_client.answers import Answer, Clock, Eligibility, Features, Tag, Value
from huitou_client.services import ChatSidebarV1

from pipelines.core.catalog import Catalog
from pipelines.core.clock import FrozenClock
from pipelines.core.home import DBT_PROJECT, Brand
from pipelines.online.access.keys import create_key
from pipelines.online.client_definitions import generated
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample

URL = "http://gateway"
SINCE = datetime(2025, 2, 27, 16, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SampleOrders(Features):
    order_count_90d: Value[int]
    discount_order_share_365d: Value[float]
    last_order_at: Value[datetime]
    added_later: Value[str]


@dataclass(frozen=True, slots=True)
class SampleRisk(Features):
    p_churn_90d: Value[float]
    reasons: Value[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSidebar(Answer):
    """As generated, for the sample's definitions; `added_later` is not in them."""

    service: ClassVar[str] = "chat_sidebar_v1"

    member_orders_v1: SampleOrders
    member_risk_v1: SampleRisk


@pytest.fixture
def local(tmp_path: Path) -> Iterator[sample.LocalClient]:
    brand = sample.make_brand(tmp_path)
    settings = Settings(request_log=False)
    clock = FrozenClock(sample.NOW)
    gateway = Gateway(brand, sample.sqlite_store(brand), settings=settings, clock=clock)
    client = sample.LocalClient(gateway)
    yield client
    client.close()


@pytest.fixture
def client(local: sample.LocalClient) -> Iterator[Client]:
    """A client whose requests go to the gateway in this process."""

    def pass_on(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = local.request(request.method, path, content=request.content, headers=headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    with Client(URL, transport=httpx.MockTransport(pass_on)) as found:
        yield found


def test_a_member_comes_back_typed(client: Client) -> None:
    found = client.member(SampleSidebar, "anna")
    orders = found.member_orders_v1
    assert orders.order_count_90d == Value(3, Status.FRESH, SINCE)
    assert orders.last_order_at.value == datetime(2025, 2, 19, 16, tzinfo=UTC)
    assert found.member_risk_v1.reasons.value == ("gap_long",)
    assert found.now == sample.NOW
    assert found.views["member_orders_v1"].age_s == 3 * 3600
    assert found.clock == Clock(days_since_last_order=10, coupon_days_left=5)
    assert found.eligibility == Eligibility(promo_allowed=True, reasons=())


def test_a_value_says_whether_it_may_be_used(client: Client) -> None:
    bao = client.member(SampleSidebar, "bao")
    assert bao.member_orders_v1.discount_order_share_365d.is_usable  # known to be none
    assert bao.member_orders_v1.discount_order_share_365d.value is None
    assert bao.member_risk_v1.p_churn_90d.status is Status.WITHHELD
    assert not bao.member_risk_v1.p_churn_90d.is_usable


def test_a_feature_that_the_gateway_does_not_know_reads_as_absent(client: Client) -> None:
    found = client.member(SampleSidebar, "anna").member_orders_v1.added_later
    assert found == Value(None, Status.ABSENT, None)


def test_more_than_a_thousand_members_are_asked_for_in_parts(client: Client) -> None:
    ids = [f"m{i}" for i in range(1500)] + ["anna"]
    found = list(client.members(SampleSidebar, iter(ids)))
    assert [one.member_id for one in found] == ids
    assert found[-1].member_orders_v1.order_count_90d.value == 3


def test_tags_come_with_their_interval(client: Client) -> None:
    found = client.tags("anna")
    assert found.tags[0] == Tag("lifecycle.repeat_active", SINCE, sample.NOW + 10 * sample.DAY)
    assert found.tags[1].until is None
    later = client.tags("anna", service="chat_sidebar_v1", now=sample.NOW + timedelta(days=1))
    assert "coupon.expiring_3d" in {tag.code for tag in later.tags}


def test_any_member_id_can_be_asked_for(client: Client) -> None:
    found = client.member(SampleSidebar, "會員/1")
    assert found.member_orders_v1.order_count_90d.value == 1


def test_services_are_listed(client: Client) -> None:
    assert "chat_sidebar_v1" in [one["name"] for one in client.services()]


def test_a_refusal_carries_its_code(client: Client) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Nope(Answer):
        service: ClassVar[str] = "nope_v1"

    with pytest.raises(GatewayError, match="no online service") as caught:
        client.member(Nope, "anna")
    assert (caught.value.code, caught.value.status) == ("unknown_service", 404)
    assert caught.value.request_id


def test_the_async_client_answers_the_same(local: sample.LocalClient, client: Client) -> None:
    async def ask() -> tuple[SampleSidebar, list[SampleSidebar]]:
        transport = httpx.ASGITransport(local.gateway)
        async with AsyncClient(URL, transport=transport) as found:
            tags = await found.tags("anna")
            assert tags.tags
            assert await found.services()
            one = await found.member(SampleSidebar, "anna")
            return one, await found.members(SampleSidebar, ["anna", "bao"])

    one, many = local._runner.run(ask())
    assert one == client.member(SampleSidebar, "anna") == many[0]
    assert many[1] == client.member(SampleSidebar, "bao")


def test_the_key_goes_along(tmp_path: Path) -> None:
    brand = Brand(tmp_path / "brands" / "keyed")
    brand.root.mkdir(parents=True)
    sample.catalog().save(brand.catalog)
    _, token = create_key(brand, "app", ["chat_sidebar_v1"], now=datetime.now(UTC))
    gateway = Gateway(brand, sample.sqlite_store(brand), settings=Settings(request_log=False))

    async def ask(key: str) -> SampleSidebar:
        transport = httpx.ASGITransport(gateway)
        async with AsyncClient(URL, key=key, transport=transport) as found:
            return await found.member(SampleSidebar, "anna")

    with asyncio.Runner() as runner:
        with pytest.raises(GatewayError, match="unauthorized"):
            runner.run(ask(""))
        assert runner.run(ask(token)).member_id == "anna"


Script = list[httpx.Response | httpx.TransportError]
Scripted = Callable[[Script], tuple[Client, list[float]]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A client that gets these outcomes one after the other, and the waits it made."""

    def make(outcomes: Script) -> tuple[Client, list[float]]:
        waits: list[float] = []
        monkeypatch.setattr("huitou_client.client.time.sleep", waits.append)

        def answer(_: httpx.Request) -> httpx.Response:
            outcome = outcomes.pop(0)
            if isinstance(outcome, httpx.TransportError):
                raise outcome
            return outcome

        client = Client(URL, transport=httpx.MockTransport(answer), retries=Retries(attempts=3))
        return client, waits

    return make


def refusal(status: int, **headers: str) -> httpx.Response:
    error = {"code": "c", "message": "m", "remedy": "", "request_id": "r"}
    return httpx.Response(status, json={"error": error}, headers=headers)


OK = httpx.Response(200, json={"services": []})


def test_it_asks_again_after_a_failure_that_passes(scripted: Scripted) -> None:
    client, waits = scripted([httpx.ConnectError("refused"), refusal(503), OK])
    assert client.services() == []
    assert 0.05 <= waits[0] <= 0.1
    assert 0.1 <= waits[1] <= 0.2


def test_it_waits_as_long_as_the_gateway_says(scripted: Scripted) -> None:
    client, waits = scripted([refusal(429, **{"Retry-After": "2"}), OK])
    assert client.services() == []
    assert waits == [2.0]


def test_it_does_not_wait_for_longer_than_it_was_told_to(scripted: Scripted) -> None:
    client, waits = scripted([refusal(429, **{"Retry-After": "60"})])
    with pytest.raises(UnavailableError):
        client.services()
    assert waits == []


def test_it_gives_up_after_so_many_attempts(scripted: Scripted) -> None:
    client, waits = scripted([httpx.ReadTimeout("slow")] * 3)
    with pytest.raises(UnavailableError, match="no_answer"):
        client.services()
    assert len(waits) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_it_does_not_repeat_what_was_refused(scripted: Scripted, status: int) -> None:
    client, waits = scripted([refusal(status)])
    with pytest.raises(GatewayError):
        client.services()
    assert waits == []


def test_an_answer_that_is_not_the_gateways_is_named_so(scripted: Scripted) -> None:
    client, _ = scripted([httpx.Response(404, text="<html>")])
    with pytest.raises(GatewayError, match="not_the_gateway"):
        client.services()


def test_the_generated_classes_are_what_the_definitions_say() -> None:
    for path, text in generated(Catalog.from_dbt(DBT_PROJECT)).items():
        assert path.read_text(encoding="utf-8") == text, "run `make generate`"


def test_the_generated_classes_read_answers() -> None:
    head = {
        "now": "2025-03-01T00:00:00Z",
        "snapshot_id": None,
        "definition_version": "v",
        "views": {},
    }
    cell = {"value": "2025-02-01T00:00:00Z", "status": "fresh", "since": None}
    features = {"member_orders_v1": {"last_order_at": cell}}
    found = ChatSidebarV1.from_json(head, {"member_id": "m", "features": features})
    assert found.member_orders_v1.last_order_at.value == datetime(2025, 2, 1, tzinfo=UTC)
    assert found.member_tags_v1.tags.status is Status.ABSENT
