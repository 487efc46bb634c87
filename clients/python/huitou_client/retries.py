"""When to ask again: every request only reads, so asking twice does no harm."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

from huitou_client.errors import GatewayError, UnavailableError

AGAIN = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Retries:
    """Ask up to `attempts` times, waiting as the gateway says, else twice as long each time."""

    attempts: int = 3
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0

    def wait(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until attempt number `attempt + 1`, or `None` to leave it at this outcome."""
        if attempt >= self.attempts:
            return None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in AGAIN:
                return None
            said = outcome.headers.get("retry-after", "")
            if said.isdigit():
                return float(said) if float(said) <= self.longest_wait_s else None
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries, guards nothing


def checked(outcome: httpx.Response | httpx.TransportError) -> httpx.Response:
    """The response, if it is one that was hoped for.

    Raises:
        UnavailableError: nothing came, or that the gateway cannot answer now.
        GatewayError: the gateway refused.
    """
    if isinstance(outcome, httpx.TransportError):
        raise UnavailableError("no_answer", str(outcome) or type(outcome).__name__) from outcome
    if outcome.is_success:
        return outcome
    kind = UnavailableError if outcome.status_code in AGAIN else GatewayError
    try:
        error = outcome.json()["error"]
        found = error["code"], error["message"], outcome.status_code, error["request_id"]
    except (ValueError, KeyError, TypeError):  # something on the way answered in our stead
        found = "not_the_gateway", outcome.reason_phrase, outcome.status_code, ""
    raise kind(*found)
