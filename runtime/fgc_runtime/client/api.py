"""Requests to an OpenAI HTTP API, and the pieces of its answers as they come.

Whatever goes wrong between here and there is an ApiError whose text says what to do.
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_MAX_QUOTED = 200  # characters of an answer that is none


class ApiError(Exception):
    """The server cannot be reached, or it refuses; `is_unreachable` tells which, `code` is the server's reason."""

    def __init__(self, message: str, *, is_unreachable: bool = False, code: str = "") -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable
        self.code = code


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a request and its answer."""

    num_prompt: int
    num_generated: int


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of what a model thinks before it answers."""

    text: str


Piece = str | Thought | Usage
Pieces = Generator[Piece, None, None]


class Api:
    """One server. `url` is with or without `/v1`; `timeout_s` is for connecting, an answer may take its time."""

    def __init__(self, url: str, *, api_key: str | None, timeout_s: float) -> None:
        self.base = _base(url)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        is_local = urlsplit(self.base).hostname in _LOCAL_HOSTS  # no proxy leads to this machine
        timeout = httpx.Timeout(None, connect=timeout_s)
        self._client = httpx.Client(base_url=self.base, headers=headers, timeout=timeout, trust_env=not is_local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def health(self) -> str:
        """Returns what the server says of itself. Raises ApiError if it is not well."""
        answer = self._ask("GET", "/health")
        return str(answer.get("status", "ok"))

    def models(self) -> list[str]:
        """The names of its models. Raises ApiError."""
        listed = self._ask("GET", "/v1/models").get("data")
        if not isinstance(listed, list):
            raise ApiError(f"{self.base} answers, but lists no models: is it an OpenAI API?")
        return [str(entry["id"]) for entry in listed if isinstance(entry, dict) and "id" in entry]

    def chat(self, model: str, messages: Sequence[Mapping[str, str]], fields: Mapping[str, object]) -> Pieces:
        """The answer to a conversation, piece by piece if `fields` has `stream`. Raises ApiError."""
        return self._answer("/v1/chat/completions", {"model": model, "messages": list(messages), **fields})

    def complete(self, model: str, prompt: str, fields: Mapping[str, object]) -> Pieces:
        """Returns how a text goes on, piece by piece if `fields` has `stream`. Raises ApiError."""
        return self._answer("/v1/completions", {"model": model, "prompt": prompt, **fields})

    def _answer(self, path: str, body: dict[str, Any]) -> Pieces:
        if not body.get("stream"):
            yield from _pieces(self._ask("POST", path, body))
            return
        try:
            with self._client.stream("POST", path, json=body | {"stream_options": {"include_usage": True}}) as response:
                if response.is_error:
                    response.read()
                    raise self._refusal(response)
                yield from self._events(response)
        except httpx.HTTPError as error:
            raise self._lost(error) from None

    def _events(self, response: httpx.Response) -> Iterator[Piece]:
        for line in response.iter_lines():
            if not line.startswith("data:"):
                continue
            text = line.removeprefix("data:").strip()
            if text == "[DONE]":
                return
            event = self._json(text)
            if "error" in event:
                raise ApiError(f"the answer broke off: {_message(event)}")
            yield from _pieces(event)
        raise ApiError("the answer broke off: the server ended it without saying so")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise self._lost(error) from None
        if response.is_error:
            raise self._refusal(response)
        return self._json(response.text)

    def _json(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            shown = " ".join(text.split())[:_MAX_QUOTED]
            raise ApiError(f"{self.base} answers, but not with a JSON object: is it an OpenAI API? It says: {shown!r}")
        return value

    def _refusal(self, response: httpx.Response) -> ApiError:
        try:
            body = json.loads(response.text)
        except ValueError:
            body = None
        said = _message(body)
        match response.status_code:
            case 401 | 403:
                help = "the server wants a key, and not this one" if "Authorization" in self._client.headers else ""
                help = help or "the server wants a key"
                return ApiError(f"{help}: give --api-key KEY, or set FGC_API_KEY")
            case 404 if not said:
                return ApiError(f"{response.url} is no OpenAI API: it answers 404; see --url")
            case status:
                return ApiError(said or f"the server answers {status} {response.reason_phrase}", code=_code(body))

    def _lost(self, error: httpx.HTTPError) -> ApiError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            reason = "it does not answer in time" if isinstance(error, httpx.ConnectTimeout) else str(error)
            help = "start one with `fgc serve DIR`, or name another with --url"
            return ApiError(f"there is no server at {self.base} ({reason}): {help}", is_unreachable=True)
        reason = str(error) or type(error).__name__
        return ApiError(f"the connection to {self.base} broke: {reason}", is_unreachable=True)


def _base(url: str) -> str:
    """A URL without the `/v1` that all paths begin with. Raises ApiError if it is none."""
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ApiError(f"`--url {url}` is no address: write one such as http://127.0.0.1:8000", is_unreachable=True)
    return url.rstrip("/").removesuffix("/v1")


def _pieces(event: Mapping[str, Any]) -> Iterator[Piece]:
    """The text of an answer or of a part of it, whichever endpoint it is from, and the usage if it is there."""
    for choice in event.get("choices") or ():
        said = choice.get("delta") or choice.get("message") or {}
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought:
            yield Thought(str(thought))
        text = choice.get("text") or said.get("content")
        if text:
            yield str(text)
    used = event.get("usage")
    if used:
        yield Usage(int(used.get("prompt_tokens", 0)), int(used.get("completion_tokens", 0)))


def _code(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _message(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("message") or "")
    return str(error or "")
