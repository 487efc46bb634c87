"""The error a user sees: what is wrong and what to do about it."""

from __future__ import annotations


class HuitouError(Exception):
    """A failure with a remedy; the command line prints both and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class UsageError(HuitouError):
    """The call itself is wrong: an unknown name, a folder that is not there, a bad date."""

    exit_code = 2


class InputError(HuitouError):
    """A landing file that cannot be read at all; its rows are in the quarantine of files."""

    exit_code = 3
