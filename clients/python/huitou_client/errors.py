"""What the client raises."""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway refused: `code` is for programs, `status` the HTTP status."""

    def __init__(
        self, code: str, message: str, status: int | None = None, request_id: str = ""
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.code = code
        self.status = status
        self.request_id = request_id


class UnavailableError(GatewayError):
    """No answer in time, however often it was asked for; a later try may succeed."""
