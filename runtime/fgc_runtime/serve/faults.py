"""Requests that cannot be answered, in the OpenAI API's words and JSON form."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Holds what an error answer says: HTTP status, sentence, and which parameter is meant."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"

    def json(self) -> dict[str, dict[str, str | None]]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class RequestError(Exception):
    """A request that a client must change before it sends it again."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> RequestError:
    return RequestError(Fault(400, message, param, code))


def model_not_found(name: str) -> RequestError:
    return RequestError(Fault(404, f"The model `{name}` does not exist.", "model", "model_not_found"))


def too_long(context_length: int, num_tokens: int, *, param: str, is_least: bool = False) -> RequestError:
    message = (
        f"This model's maximum context length is {context_length} tokens. However, your {param} resulted in "
        f"{'at least ' if is_least else ''}{num_tokens} tokens. Please reduce the length of the {param}."
    )
    return RequestError(Fault(400, message, param, "context_length_exceeded"))


def too_large(max_bytes: int) -> RequestError:
    return RequestError(Fault(413, f"The request body is larger than {max_bytes} bytes.", code="request_too_large"))


def too_busy() -> RequestError:
    message = "The server has too many requests waiting. Please try again later."
    return RequestError(Fault(429, message, code="rate_limit_exceeded", type="rate_limit_error"))


def wrong_key() -> RequestError:
    message = "Incorrect or missing API key: send the header `Authorization: Bearer KEY`."
    return RequestError(Fault(401, message, code="invalid_api_key"))


def wrong_host(host: str) -> Fault:
    message = (
        f"This server listens on its own machine only and is not called {host!r}. "
        "If a proxy sends that name, start the server with --allow-host NAME."
    )
    return Fault(403, message, code="host_not_allowed")


def wrong_origin(origin: str) -> Fault:
    message = f"Pages of {origin!r} may not ask this server. Start it with --cors ORIGIN to allow them."
    return Fault(403, message, code="origin_not_allowed")


def failure(message: str) -> Fault:
    return Fault(500, message, type="server_error")


def shutting_down() -> Fault:
    return Fault(503, "The server is shutting down.", code="shutting_down", type="server_error")
