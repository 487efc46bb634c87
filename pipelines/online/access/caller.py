"""The caller of a request, as keys and tokens both describe one."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.core.errors import HuitouError
from pipelines.online.access.limits import TokenBucket

ALL = "*"
REPLAY = "replay"  # may say what `now` is
METRICS = "metrics"  # may read /metrics
SCOPES = (REPLAY, METRICS)


class CredentialsError(HuitouError):
    """No valid key or token. The message never says which part of it was wrong."""


@dataclass(frozen=True)
class Caller:
    """Who reads (`who`, for the audit log), which services, how fast, and what else is allowed."""

    who: str
    services: frozenset[str]
    scopes: frozenset[str] = frozenset()
    bucket: TokenBucket = field(default_factory=TokenBucket, compare=False)

    def may_read(self, service: str) -> bool:
        """Whether the service is one of the caller's."""
        return service in self.services or ALL in self.services

    @property
    def reads_all(self) -> bool:
        """Whether every service, present or future, is the caller's."""
        return ALL in self.services


#: The caller on an open gateway, which only listens on loopback.
LOCAL = Caller("local", frozenset({ALL}), frozenset(SCOPES))
