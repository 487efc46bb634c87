"""One request on its way: who sent it, and what that caller may have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.online.access.caller import REPLAY, Caller
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.http import Request
from pipelines.online.gateway.live import Live
from pipelines.online.gateway.plans import MEMBER_KEYS, Column, Plan
from pipelines.online.gateway.rules import TAGS
from pipelines.online.gateway.settings import Settings

MEMBER_ID_LENGTH = 256
YOURS = "GET /v1/services lists yours"


@dataclass(slots=True)
class Exchange:
    """A request with the definitions it is answered by, and what the logs will say of it."""

    request: Request
    live: Live
    settings: Settings
    authenticated: Caller | None = None
    service: str = ""
    members: int = 0

    @property
    def caller(self) -> Caller:
        """Who calls; only public routes go without."""
        assert self.authenticated is not None  # noqa: S101  # see above
        return self.authenticated

    async def json(self) -> Any:
        """The body."""
        return await self.request.json(self.settings.max_body_bytes)

    def granted(self, service: str) -> Plan:
        """The plan of a service that the caller may read; others are not even said to exist.

        Raises:
            RefusedError: 403 or, for callers who read all, 404.
        """
        self.service = service
        if not self.caller.may_read(service):
            message = f"this key does not read service {service!r}"
            raise RefusedError("service_not_granted", message, YOURS)
        return self.live.definitions.service(service)

    def granted_by_member(self, service: str) -> Plan:
        """The plan of a service that is read by member id alone.

        Raises:
            RefusedError: also 400, where it takes other keys.
        """
        plan = self.granted(service)
        if any(part.join_keys != MEMBER_KEYS for part in plan.parts):
            message = f"service {service!r} is keyed by more than the member"
            raise RefusedError("service_not_by_member", message, "use POST /get-online-features")
        return plan

    def granted_features(self, columns: tuple[Column, ...]) -> Plan:
        """The plan of features that are all in services of the caller.

        Raises:
            RefusedError: 403 or, for what does not exist in a view they read, 400.
        """
        definitions, self.service = self.live.definitions, "features"
        if not self.caller.reads_all:
            granted = {
                column
                for name, plan in definitions.services.items()
                if self.caller.may_read(name)
                for column in plan.columns
            }
            views = {view for view, _ in granted}
            for view, name in columns:
                is_unknown = view in views and not definitions.has(view, name)
                if (view, name) not in granted and not is_unknown:
                    message = f"this key does not read {view}:{name}"
                    raise RefusedError("feature_not_granted", message, YOURS)
        return definitions.features(columns)

    def service_with_tags(self) -> str:
        """The first service of the caller that has tags.

        Raises:
            RefusedError: 403, none has.
        """
        for name, plan in self.live.definitions.services.items():
            if self.caller.may_read(name) and (TAGS, "tags") in plan.columns:
                return name
        raise RefusedError("service_not_granted", "no service of this key has tags", YOURS)

    def now(self, given: object, wall: datetime) -> datetime:
        """The instant to answer for: `wall`, or what a caller with the scope says it is.

        Raises:
            RefusedError: 403 without the scope, 400 if it is no instant.
        """
        if given is None:
            return wall
        if REPLAY not in self.caller.scopes:
            remedy = f"leave `now` out, or use a key with the scope {REPLAY!r}"
            raise RefusedError("scope_missing", "this key may not say what now is", remedy)
        try:
            at = datetime.fromisoformat(given) if isinstance(given, str) else None
            if at is not None and at.tzinfo is not None:
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        remedy = "write it as 2025-03-01T09:00:00Z"
        raise RefusedError("bad_now", "now is not an instant with its zone", remedy)

    def charge(self, count: int) -> None:
        """Take `count` members off the caller's rate.

        Raises:
            RefusedError: 400 if no request may ask for so many, 429 if it is too soon.
        """
        limit = self.settings.max_members
        if count > limit:
            message = f"{count} members asked for at once"
            raise RefusedError("too_many_members", message, f"ask for at most {limit}")
        wait = self.caller.bucket.take(max(1, count))
        if wait:
            headers = {"Retry-After": str(int(wait) + 1)}
            remedy = "wait as Retry-After says"
            raise RefusedError("rate_limited", "over this key's rate", remedy, headers)
        self.members = count


def member_in_path(request: Request) -> str:
    """The member id of `/v1/members/{member_id}…`."""
    member_id = (request.segments(b"/v1/members/") or [""])[0]
    check_member_id(member_id)
    return member_id


def check_member_id(member_id: Any) -> None:
    """Pass if it can be one.

    Raises:
        RefusedError: 400, it cannot.
    """
    if not isinstance(member_id, str) or not 0 < len(member_id) <= MEMBER_ID_LENGTH:
        message = f"a member id is a text of 1 to {MEMBER_ID_LENGTH} characters"
        raise RefusedError("bad_request", message)
