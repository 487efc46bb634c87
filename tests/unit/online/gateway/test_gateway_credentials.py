"""Every endpoint by every kind of credential: what each may see, and that nothing leaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pipelines.core.clock import iso
from pipelines.core.home import Brand
from pipelines.online.access import oidc
from pipelines.online.access.keys import create_key, revoke_key
from pipelines.online.access.oidc import OidcConfig, configure_oidc
from pipelines.online.gateway.app import Gateway
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient
from tests.unit.online.gateway.conftest import MakeClient

AUDIENCE = "huitou"
BATCH = {"service": "lenient_v1", "member_ids": ["anna"]}
FEAST = {"feature_service": "lenient_v1", "entities": {"member_id": ["anna"]}}
LISTED = {"features": ["member_orders_v1:order_count_90d"], "entities": {"member_id": ["anna"]}}
ENDPOINTS: dict[str, tuple[str, str, Any]] = {
    "feast service": ("POST", "/get-online-features", FEAST),
    "feast features": ("POST", "/get-online-features", LISTED),
    "member": ("GET", "/v1/members/anna?service=lenient_v1", None),
    "batch": ("POST", "/v1/members:batch", BATCH),
    "tags": ("GET", "/v1/members/anna/tags?service=mass_sender_v1", None),
    "tags by default": ("GET", "/v1/members/anna/tags", None),
    "services": ("GET", "/v1/services", None),
    "openapi": ("GET", "/openapi.json", None),
    "metrics": ("GET", "/metrics", None),
    "docs": ("GET", "/docs", None),
    "healthz": ("GET", "/healthz", None),
    "readyz": ("GET", "/readyz", None),
}
READS = ("feast service", "feast features", "member", "batch", "tags", "tags by default")
PUBLIC = ("docs", "healthz", "readyz")
#: What of the sample must never reach someone who may not read it.
SECRETS = ("order_count_90d", "last_order_at", "lifecycle.", "2025-02-19")
NOBODY = ("no key", "wrong key", "revoked key", "expired token", "other audience", "other issuer",
          "forged token", "unsigned token", "shared secret")  # fmt: skip


class Issuer:
    """An OIDC issuer on loopback with one RSA key, and tokens it signed."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid, self.fetched = "k1", 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    body: Any = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                else:
                    issuer.fetched += 1
                    body = {"keys": [issuer.jwk(), {"kty": "unheard of", "kid": "odd"}]}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwk(self) -> dict[str, Any]:
        value = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**value, "kid": self.kid, "alg": "RS256", "use": "sig"}

    def token(self, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        now = datetime.now(UTC)
        body = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "sender",
            "exp": now + timedelta(minutes=5),
            "huitou_services": ["lenient_v1", "mass_sender_v1"],
            **claims,
        }
        kept = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(
            kept, self.key if key is None else key, algorithm, headers={"kid": self.kid}
        )


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    one = Issuer()
    yield one
    one.server.shutdown()


@pytest.fixture
def credentials(brand: Brand, issuer: Issuer) -> dict[str, str]:
    now = datetime.now(UTC)
    configure_oidc(brand, OidcConfig(issuer.url, AUDIENCE))
    _, right = create_key(brand, "right", ["lenient_v1", "mass_sender_v1"], now=now)
    _, other = create_key(brand, "other", ["probe_v1"], now=now)
    _, revoked = create_key(brand, "revoked", ["*"], now=now)
    revoke_key(brand, "revoked", now=now)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "no key": "",
        "wrong key": right[:-2] + "zz",
        "revoked key": revoked,
        "expired token": issuer.token(exp=now - timedelta(seconds=10)),
        "other audience": issuer.token(aud="someone else"),
        "other issuer": issuer.token(iss="https://elsewhere.example"),
        "forged token": issuer.token(key=stranger),
        "unsigned token": issuer.token(key="", algorithm="none"),
        "shared secret": issuer.token(key="x" * 32, algorithm="HS256"),
        "key of another service": other,
        "token of another service": issuer.token(huitou_services="probe_v1"),
        "token without services": issuer.token(huitou_services=None),
        "valid key": right,
        "valid token": issuer.token(),
    }


def ask(client: LocalClient, endpoint: str) -> tuple[int, str, str]:
    method, path, body = ENDPOINTS[endpoint]
    answer = client.request(method, path, json=body)
    return answer.status_code, answer.text, answer.headers.get("www-authenticate", "")


@pytest.mark.parametrize("credential", NOBODY)
def test_without_a_valid_credential_only_probes_and_the_page_answer(
    make_client: MakeClient, credentials: dict[str, str], credential: str
) -> None:
    client = make_client(token=credentials[credential])
    for endpoint in ENDPOINTS:
        status, text, challenge = ask(client, endpoint)
        assert status == (200 if endpoint in PUBLIC else 401), endpoint
        assert bool(challenge) == (endpoint not in PUBLIC), endpoint
        assert not any(secret in text for secret in (*SECRETS, "lenient_v1", "probe_v1"))


@pytest.mark.parametrize(
    "credential", ["key of another service", "token of another service", "token without services"]
)
def test_a_credential_for_other_services_reads_none_of_these(
    make_client: MakeClient, credentials: dict[str, str], credential: str
) -> None:
    client = make_client(token=credentials[credential])
    for endpoint in ENDPOINTS:
        status, text, _ = ask(client, endpoint)
        assert status == (403 if endpoint in (*READS, "metrics") else 200), endpoint
        named = "lenient_v1" in text or "order_count_90d" in text
        assert not named or endpoint in READS, endpoint  # an error repeats what was asked
        assert "2025-02-19" not in text
        assert "lifecycle.repeat" not in text or endpoint == "openapi"


@pytest.mark.parametrize("credential", ["valid key", "valid token"])
def test_a_valid_credential_reads_its_services(
    make_client: MakeClient, credentials: dict[str, str], credential: str
) -> None:
    client = make_client(token=credentials[credential])
    for endpoint in ENDPOINTS:
        assert ask(client, endpoint)[0] == (403 if endpoint == "metrics" else 200), endpoint
    listed = [one["name"] for one in client.get("/v1/services").json()["services"]]
    assert listed == ["lenient_v1", "mass_sender_v1"]
    assert "ProbeV1" not in client.get("/openapi.json").text


def test_a_service_that_does_not_exist_looks_like_one_not_granted(
    make_client: MakeClient, credentials: dict[str, str]
) -> None:
    client = make_client(token=credentials["valid key"])
    answers = [client.get(f"/v1/members/a?service={name}") for name in ("probe_v1", "nope_v1")]
    assert [one.status_code for one in answers] == [403, 403]
    codes = {one.json()["error"]["code"] for one in answers}
    assert codes == {"service_not_granted"}


def test_features_are_granted_through_services_only(
    make_client: MakeClient, credentials: dict[str, str]
) -> None:
    client = make_client(token=credentials["valid key"])

    def code(feature: str) -> str:
        body = {"features": [feature], "entities": {"member_id": ["anna"]}}
        answer = client.post("/get-online-features", json=body).json()
        return answer["error"]["code"] if "error" in answer else "ok"

    assert code("member_tags_v1:tags") == "ok"
    assert code("member_risk_v1:p_churn_90d") == "feature_not_granted"
    assert code("no_such_view:x") == "feature_not_granted"
    assert code("member_tags_v1:tagz") == "unknown_feature"


def test_only_a_trusted_caller_says_what_now_is(make_client: MakeClient, brand: Brand) -> None:
    now = datetime.now(UTC)
    _, plain = create_key(brand, "plain", ["lenient_v1"], now=now)
    _, trusted = create_key(brand, "trusted", ["lenient_v1"], now=now, scopes=["replay"])
    url = f"/v1/members/anna?service=lenient_v1&now={iso(sample.AS_OF)}"
    refused = make_client(token=plain).get(url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
    assert make_client(token=trusted).get(url).json()["now"] == "2025-03-01T16:00:00Z"


def test_the_same_replay_gives_the_same_bytes(make_client: MakeClient) -> None:
    client = make_client()
    url = f"/v1/members/anna?service=chat_sidebar_v1&now={iso(sample.NOW)}"
    assert client.get(url).content == client.get(url).content


def test_metrics_need_their_scope(make_client: MakeClient, brand: Brand) -> None:
    _, token = create_key(brand, "p", ["lenient_v1"], now=datetime.now(UTC), scopes=["metrics"])
    client = make_client(token=token)
    client.get("/v1/members/anna?service=lenient_v1")
    text = client.get("/metrics").text
    assert 'huitou_members_read_total{service="lenient_v1"} 1.0' in text
    assert 'huitou_view_age_seconds{view="member_orders_v1"} 10800.0' in text
    assert "anna" not in text


def test_a_key_over_its_rate_is_told_when_to_come_back(
    make_client: MakeClient, brand: Brand
) -> None:
    _, token = create_key(brand, "slow", ["lenient_v1"], now=datetime.now(UTC), rate=0.5, burst=2)
    client = make_client(token=token)
    body = {"service": "lenient_v1", "member_ids": ["a", "b"]}
    assert client.post("/v1/members:batch", json=body).status_code == 200
    answer = client.get("/v1/members/anna?service=lenient_v1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "2"


def test_a_token_lives_as_long_as_it_says_even_if_seen_before(
    make_client: MakeClient, brand: Brand, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "LEEWAY_S", 0.0)
    configure_oidc(brand, OidcConfig(issuer.url, AUDIENCE))
    verifier = oidc.OidcVerifier(OidcConfig(issuer.url, AUDIENCE))
    now = datetime.now(UTC)
    token = issuer.token(exp=now + timedelta(seconds=20))
    assert verifier.caller(token, now).who == "oidc:sender"
    assert verifier.remembered(token, now) is not None
    later = now + timedelta(seconds=21)
    assert verifier.remembered(token, later) is None
    with pytest.raises(oidc.CredentialsError):
        verifier.caller(token, later)


def test_a_new_key_of_the_issuer_is_fetched_but_not_for_every_unknown_one(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = oidc.OidcVerifier(OidcConfig(issuer.url, AUDIENCE))
    now = datetime.now(UTC)
    verifier.caller(issuer.token(), now)
    before = issuer.fetched
    issuer.key, issuer.kid = rsa.generate_private_key(65537, 2048), "k2"
    for _ in range(3):
        with pytest.raises(oidc.CredentialsError):
            verifier.caller(issuer.token(), now)
    assert issuer.fetched == before
    monkeypatch.setattr(oidc, "REFETCH_S", 0.0)
    assert verifier.caller(issuer.token(), now)
    assert issuer.fetched == before + 1


def test_an_issuer_that_is_away_is_503_not_401(make_client: MakeClient, brand: Brand) -> None:
    configure_oidc(brand, OidcConfig("http://127.0.0.1:1", AUDIENCE))
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode({"sub": "x"}, stranger, "RS256", headers={"kid": "k"})
    answer = make_client(token=token).get("/v1/services")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "issuer_unavailable")


def test_a_caller_within_the_process_needs_no_key_if_it_is_trusted(brand: Brand) -> None:
    """`huitou member` opens the store itself; a key would protect nothing from it."""
    create_key(brand, "sidebar", ["lenient_v1"], now=datetime.now(UTC))
    gateway = Gateway(brand, sample.sqlite_store(brand), is_trusting=True)
    client = LocalClient(gateway)
    assert client.get("/v1/members/anna?service=chat_sidebar_v1").status_code == 200
    client.close()
