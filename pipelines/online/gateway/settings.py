"""What an operator may set of the gateway, each by one environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from pipelines.core.errors import UsageError

PREFIX = "HUITOU_GATEWAY_"
REQUIRED, OPT_OUT = "required", "opt_out"


@dataclass(frozen=True)
class Settings:
    """Limits and policies; the variable of a field is `HUITOU_GATEWAY_` and its name in capitals.

    `profiling_consent`: `opt_out` withholds profiling values of members who withdrew consent and
    of those whose consents are not held at all; `required` of everyone who did not give it.
    """

    timeout_s: float = 1.0  # for the store to answer
    body_timeout_s: float = 10.0  # for a caller to send its request
    max_body_bytes: int = 1 << 20
    max_members: int = 1000
    max_in_flight: int = 256
    profiling_consent: str = OPT_OUT
    request_log: bool = True

    @classmethod
    def from_env(cls) -> Settings:
        """The settings that the environment names, defaults for the rest.

        Raises:
            UsageError: a variable cannot be read as what it sets.
        """
        found: dict[str, object] = {}
        for field in fields(cls):
            text = os.environ.get(PREFIX + field.name.upper())
            if text is not None:
                found[field.name] = _parsed(field.name, type(field.default), text)
        settings = cls(**found)  # type: ignore[arg-type]  # each was parsed as its default's type
        if settings.profiling_consent not in (REQUIRED, OPT_OUT):
            message = f"{PREFIX}PROFILING_CONSENT={settings.profiling_consent!r}"
            raise UsageError(message, f"set it to {REQUIRED} or {OPT_OUT}")
        return settings


def _parsed(name: str, kind: type, text: str) -> object:
    try:
        return text not in ("0", "false", "no") if kind is bool else kind(text)
    except ValueError:
        message = f"{PREFIX}{name.upper()}={text!r} is not a number"
        raise UsageError(message, "set it to a number or leave it out") from None
