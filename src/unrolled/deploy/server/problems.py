"""Failures as answers, all of one shape."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CODES = {
    400: "malformed",
    403: "foreign_origin",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "media_type",
    421: "unknown_host",
    422: "invalid",
    500: "internal",
    503: "busy",
}
RETRY_AFTER_SECONDS = "1"


class Problem(Exception):  # noqa: N818 - an answer, not a fault of the program
    """A request that is turned down.

    Args:
        status: HTTP status.
        message: what happened.
        expected: the rule.
        close: whether the connection ends with the answer.
    """

    def __init__(self, status: int, message: str, expected: str = "", *, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.expected, self.close = status, message, expected, close

    def response(self, path: str) -> JSONResponse:
        """The answer to a request of ``path``, ``{"error": {"status", "code", "message", "expected"}}``.

        Below ``/v2`` it is ``{"error": text}``, as the Open Inference Protocol has it.
        """
        error: dict[str, Any] | str = {
            "status": self.status,
            "code": CODES[self.status],
            "message": self.message,
            "expected": self.expected,
        }
        if path == "/v2" or path.startswith("/v2/"):
            error = f"{self.message} (expected: {self.expected})" if self.expected else self.message
        headers = {"retry-after": RETRY_AFTER_SECONDS} if self.status == 503 else {}
        if self.close:
            headers["connection"] = "close"
        return JSONResponse({"error": error}, self.status, headers)


async def on_problem(request: Request, error: Exception) -> Response:
    """Starlette's handler for :class:`Problem` and for its own failures (404, 405), and for our faults."""
    path = request.scope["path"]
    if isinstance(error, Problem):
        return error.response(path)
    if isinstance(error, HTTPException):
        what = {404: "there is no such route", 405: f"the route does not take {request.method}"}
        status = error.status_code if error.status_code in CODES else 400
        response = Problem(status, what.get(status, str(error.detail))).response(path)
        response.headers.update(error.headers or {})
        return response
    # Nothing of the cause goes out: it may name files of this machine. The gate logs it.
    return Problem(500, "the server failed", close=True).response(path)
