"""What a gateway asks of its callers: nothing on loopback, a key or a token once any is set up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.access.caller import LOCAL, Caller, CredentialsError
from pipelines.online.access.keys import PREFIX, KeyRing, keys_path
from pipelines.online.access.oidc import OidcVerifier, load_oidc, oidc_path


@dataclass(frozen=True)
class Access:
    """The keys and the issuer a brand has set up; with neither, the gateway is open."""

    keys: KeyRing | None = None
    oidc: OidcVerifier | None = None

    @classmethod
    def load(cls, brand: Brand, former: Access | None = None) -> Access:
        """What the brand's files say now.

        Once closed, a gateway stays closed: a file that vanished leaves no key valid.
        """
        keys_file, oidc_file = keys_path(brand), oidc_path(brand)
        held = former.keys if former else None
        keys = KeyRing.load(keys_file, held) if keys_file.exists() or held is not None else None
        oidc = OidcVerifier(load_oidc(oidc_file)) if oidc_file.exists() else None
        if former and not former.is_open and keys is None and oidc is None:
            keys = KeyRing([])
        return cls(keys, oidc)

    @property
    def is_open(self) -> bool:
        """Whether callers need no credentials."""
        return self.keys is None and self.oidc is None

    def at_once(self, header: str | None, now: datetime) -> Caller | None:
        """The caller, or `None` where telling takes blocking work (`after_work`).

        Raises:
            CredentialsError: the credentials are missing or not valid.
        """
        if self.is_open:
            return LOCAL
        token = _bearer(header)
        if token.startswith(f"{PREFIX}_") and self.keys is not None:
            return self.keys.caller(token, now)
        if self.oidc is None:
            raise CredentialsError("the key is not valid", "ask whoever runs this gateway for one")
        return self.oidc.remembered(token, now)

    def after_work(self, header: str | None, now: datetime) -> Caller:
        """The caller of a token that has yet to be verified.

        Raises:
            CredentialsError: the token is not valid.
        """
        assert self.oidc is not None  # noqa: S101  # `at_once` answers where there is no issuer
        return self.oidc.caller(_bearer(header), now)


def require_closed(access: Access, host: str) -> None:
    """Pass unless an open gateway would listen beyond loopback.

    Raises:
        UsageError: it would.
    """
    if access.is_open and not _is_loopback(host):
        message = f"refusing to listen on {host}: neither keys nor OIDC are set up"
        raise UsageError(message, "make a key with `huitou keys create`, or listen on 127.0.0.1")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bearer(header: str | None) -> str:
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise CredentialsError("no key", "send the header `Authorization: Bearer huitou_…`")
    return token.strip()
