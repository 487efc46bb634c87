"""OIDC tokens: issuer, audience and signature checked against the issuer's published keys.

`<brand>/access/oidc.json` names the issuer and the audience. A token says which services it may
read in its claim `huitou_services` and what else in `huitou_scopes` (lists, or texts with spaces);
`services` in the file is what a token without that claim gets, nothing by default.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.files import read_json
from pipelines.core.home import Brand
from pipelines.online.access.caller import SCOPES, Caller, CredentialsError
from pipelines.online.access.files import write_private_json
from pipelines.online.access.limits import TokenBucket

if TYPE_CHECKING:
    import jwt

#: Signatures by a key pair only: a shared secret or `none` is never an issuer's published key.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
REMEMBERED_S = 60.0  # a verified token is not verified again for so long
REMEMBERED = 10_000
REFETCH_S = 10.0  # the issuer is asked at most so often for a key it has not shown
FETCH_TIMEOUT_S = 3.0
LEEWAY_S = 5.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class IssuerUnavailableError(HuitouError):
    """The issuer's keys cannot be fetched, so no new token can be judged."""


@dataclass(frozen=True)
class OidcConfig:
    """Whose tokens are accepted and what they may read."""

    issuer: str
    audience: str
    jwks_uri: str = ""  # by default what the issuer's discovery document says
    services: tuple[str, ...] = ()
    services_claim: str = "huitou_services"
    scopes_claim: str = "huitou_scopes"
    rate: float = 0.0
    burst: float = 0.0


def oidc_path(brand: Brand) -> Path:
    """Where a brand's OIDC settings are kept; that the file exists closes the gateway."""
    return brand.root / "access" / "oidc.json"


def configure_oidc(brand: Brand, config: OidcConfig) -> None:
    """Accept tokens of this issuer for this audience.

    Raises:
        UsageError: issuer or audience is empty, or an address is neither https nor on loopback.
    """
    _check(config)
    write_private_json(oidc_path(brand), asdict(config))


def load_oidc(path: Path) -> OidcConfig:
    """What `configure_oidc`, or an operator, wrote.

    Raises:
        UsageError: as `configure_oidc`.
    """
    value = read_json(path)
    config = OidcConfig(**{**value, "services": tuple(value.get("services", ()))})
    _check(config)
    return config


def _check(config: OidcConfig) -> None:
    if not config.issuer or not config.audience:
        raise UsageError("OIDC needs an issuer and an audience", "give both")
    for address in filter(None, (config.issuer, config.jwks_uri)):
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            message = f"{address!r} is not an https address"
            raise UsageError(message, "an issuer's keys must come over https")


class OidcVerifier:
    """Checks tokens against one configuration. Blocking: it may fetch the issuer's keys."""

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -REFETCH_S
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def remembered(self, token: str, now: datetime) -> Caller | None:
        """The caller of a token verified a moment ago, without any work."""
        found = self._known.get(_digest(token))
        return found[1] if found and now.timestamp() < found[0] else None

    def caller(self, token: str, now: datetime) -> Caller:
        """The caller that the token names.

        Raises:
            CredentialsError: not signed by the issuer, not for this audience, or not valid now.
            IssuerUnavailableError: the issuer does not answer and its keys are not known.
        """
        import jwt

        try:
            claims = self._claims(token, now)
            subject = str(claims["sub"])
            caller = Caller(
                who=f"oidc:{subject}",
                services=frozenset(self._services(claims)),
                scopes=frozenset(_words(claims.get(self._config.scopes_claim))) & set(SCOPES),
                bucket=self._bucket(subject),
            )
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise CredentialsError("the token is not valid", "get a new one") from error
        self._remember(token, caller, min(now.timestamp() + REMEMBERED_S, float(claims["exp"])))
        return caller

    def _claims(self, token: str, now: datetime) -> dict[str, Any]:
        import jwt

        header = jwt.get_unverified_header(token)
        key = self._key(str(header.get("kid", "")))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=self._config.audience,
            issuer=self._config.issuer,
            leeway=LEEWAY_S,
            # the gateway's clock judges `exp` and `nbf`, below
            options={
                "require": ["exp", "sub", "aud", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        at = now.timestamp()
        if at >= float(claims["exp"]) + LEEWAY_S or at < float(claims.get("nbf", 0)) - LEEWAY_S:
            raise ValueError("outside its time")
        return claims

    def _services(self, claims: dict[str, Any]) -> list[str]:
        if self._config.services_claim in claims:
            return _words(claims[self._config.services_claim])
        return list(self._config.services)

    def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys and time.monotonic() - self._fetched >= REFETCH_S:
            self._keys = self._fetch()
            self._fetched = time.monotonic()
        return self._keys[kid]

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        import httpx
        import jwt

        with httpx.Client(timeout=FETCH_TIMEOUT_S) as client:
            try:
                found = client.get(self._jwks_uri(client)).raise_for_status().json()
            except (httpx.HTTPError, ValueError, KeyError) as error:
                message = f"the keys of {self._config.issuer} cannot be fetched"
                raise IssuerUnavailableError(message, "see that the issuer answers") from error
        keys = {}
        for value in found.get("keys", []):
            try:
                key = jwt.PyJWK(value)
            except jwt.PyJWTError:  # a kind of key we do not know signs nothing we accept
                continue
            keys[str(value.get("kid", ""))] = key
        return keys

    def _jwks_uri(self, client: Any) -> str:
        if self._config.jwks_uri:
            return self._config.jwks_uri
        address = f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration"
        return str(client.get(address).raise_for_status().json()["jwks_uri"])

    def _bucket(self, subject: str) -> TokenBucket:
        if len(self._buckets) > REMEMBERED:
            self._buckets.clear()
        return self._buckets.setdefault(subject, TokenBucket(self._config.rate, self._config.burst))

    def _remember(self, token: str, caller: Caller, until: float) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[_digest(token)] = (until, caller)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _words(claim: Any) -> list[str]:
    if isinstance(claim, str):
        return claim.split()
    return [str(word) for word in claim or ()]
