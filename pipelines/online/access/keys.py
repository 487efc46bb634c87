"""Bearer keys: made, listed and revoked here, hashed at rest in `<brand>/access/keys.json`.

A key is `huitou_<id>_<secret>`. The secret is 256 random bits, so its SHA-256 is as safe at rest
as a slow hash would be: there is no password to guess, and a request costs microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pipelines.core.clock import from_iso, iso
from pipelines.core.errors import UsageError
from pipelines.core.files import read_json
from pipelines.core.home import Brand
from pipelines.online.access.caller import ALL, SCOPES, Caller, CredentialsError
from pipelines.online.access.files import alone, write_private_json
from pipelines.online.access.limits import TokenBucket

PREFIX = "huitou"
UNKNOWN = hashlib.sha256(b"the hash of no key").hexdigest()


@dataclass(frozen=True)
class Key:
    """One key as the file keeps it; `rate` is members a second, 0 for no limit."""

    id: str
    name: str
    hash: str
    services: tuple[str, ...]
    scopes: tuple[str, ...]
    rate: float
    burst: float
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor past its end."""
        return not self.revoked_at and not (self.expires_at and now >= from_iso(self.expires_at))


def keys_path(brand: Brand) -> Path:
    """Where a brand's keys are kept; that the file exists closes the gateway."""
    return brand.root / "access" / "keys.json"


def create_key(  # each is an option of `huitou keys create`
    brand: Brand,
    name: str,
    services: Iterable[str],
    *,
    now: datetime,
    scopes: Iterable[str] = (),
    rate: float = 0.0,
    burst: float = 0.0,
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """Add a key to the brand's file; the text of the key is returned here and nowhere else.

    Raises:
        UsageError: no service, an unknown scope, or a rate below zero.
    """
    services, scopes = tuple(sorted(set(services))), tuple(sorted(set(scopes)))
    if not services:
        raise UsageError("a key needs a service", f"name at least one, or {ALL!r} for all of them")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        message = f"unknown scope {unknown[0]!r}"
        raise UsageError(message, f"the scopes are {', '.join(SCOPES)}")
    if rate < 0 or burst < 0:
        raise UsageError("a rate is not below zero", "0 means no limit")
    secret = secrets.token_urlsafe(32)
    key = Key(
        id=secrets.token_hex(4),
        name=name,
        hash=_hash(secret),
        services=services,
        scopes=scopes,
        rate=rate,
        burst=burst,
        created_at=iso(now),
        expires_at=iso(expires_at) if expires_at else None,
    )
    path = keys_path(brand)
    with alone(path):
        _save(path, [*list_keys(brand), key])
    return key, f"{PREFIX}_{key.id}_{secret}"


def list_keys(brand: Brand) -> list[Key]:
    """All keys of the brand, revoked ones too, oldest first."""
    path = keys_path(brand)
    return _load(path) if path.exists() else []


def revoke_key(brand: Brand, key_id: str, *, now: datetime) -> Key:
    """Revoke a key by its id or its name; running gateways drop it within a second or two.

    Raises:
        UsageError: no such key.
    """
    path = keys_path(brand)
    with alone(path):
        keys = list_keys(brand)
        found = [key for key in keys if key_id in (key.id, key.name) and not key.revoked_at]
        if not found:
            message = f"no valid key {key_id!r}"
            raise UsageError(message, "`huitou keys list` shows them")
        if len(found) > 1:
            message = f"{len(found)} keys are named {key_id!r}"
            raise UsageError(message, "revoke by id, as `huitou keys list` shows it")
        revoked = Key(**{**asdict(found[0]), "revoked_at": iso(now)})
        _save(path, [revoked if key.id == revoked.id else key for key in keys])
    return revoked


def check_services(services: Iterable[str], known: Iterable[str]) -> None:
    """Make sure that a key is not bound to a service that there is none of.

    Raises:
        UsageError: one of them is neither known nor `*`.
    """
    names = sorted(known)
    if unknown := sorted(set(services) - {*names, ALL}):
        message = f"there is no online service {unknown[0]!r}"
        raise UsageError(message, f"choose of {', '.join(names)}, or {ALL!r} for all of them")


class KeyRing:
    """The keys of one file, ready to check what callers send."""

    def __init__(self, keys: Iterable[Key], former: KeyRing | None = None) -> None:
        self._keys = {key.id: key for key in keys}
        self._callers: Mapping[str, Caller] = {
            key.id: _caller(key, former) for key in self._keys.values()
        }

    @classmethod
    def load(cls, path: Path, former: KeyRing | None = None) -> KeyRing:
        """The keys in the file; a key that `former` knew unchanged keeps its rate's state."""
        return cls(_load(path) if path.exists() else [], former)

    def __len__(self) -> int:
        return len(self._keys)

    def caller(self, token: str, now: datetime) -> Caller:
        """The caller whose key `token` is.

        Raises:
            CredentialsError: it is none, or it was revoked, or it is past its end.
        """
        _, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id)
        right = hmac.compare_digest(_hash(secret), key.hash if key else UNKNOWN)
        if key and right and key.is_valid(now):
            return self._callers[key_id]
        raise CredentialsError("the key is not valid", "ask whoever runs this gateway for one")


def _caller(key: Key, former: KeyRing | None) -> Caller:
    bucket = TokenBucket(key.rate, key.burst)
    known = former._callers.get(key.id) if former else None  # of our own class
    if known and (known.bucket.rate, known.bucket.burst) == (bucket.rate, bucket.burst):
        bucket = known.bucket
    who = f"key:{key.id}"
    return Caller(who, frozenset(key.services), frozenset(key.scopes), bucket)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _load(path: Path) -> list[Key]:
    return [
        Key(**{**value, "services": tuple(value["services"]), "scopes": tuple(value["scopes"])})
        for value in read_json(path)["keys"]
    ]


def _save(path: Path, keys: list[Key]) -> None:
    write_private_json(path, {"keys": [asdict(key) for key in keys]})
