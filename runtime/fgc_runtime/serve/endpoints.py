"""The HTTP handlers: a request in, JSON or a stream of server-sent events out."""

import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from fgc_runtime.generate.job import Failure, Job
from fgc_runtime.serve import faults, metrics
from fgc_runtime.serve.answers import Answer, Answers, Choice, CompletionAnswers, Head, model_card, usage
from fgc_runtime.serve.call_reader import CallReader
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.exchange import ClientGone, Exchange, JobFailed
from fgc_runtime.serve.fields import Json, check_text
from fgc_runtime.serve.requests import (
    Wishes,
    chat_request,
    completion_request,
    detokenize_request,
    tokenize_request,
)
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.tools import ToolWishes
from fgc_runtime.serve.trace import Trace, trace_of
from fgc_runtime.serve.transcript import Transcript

_CLIENT_GONE = 499  # nginx's number for an answer that nobody waits for; never sent
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # an escape of half a character: usually there are two, which are one
_DONE = b"data: [DONE]\n\n"


async def health(request: Request) -> Response:
    if _service(request).engine.is_alive:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "the engine has stopped"}, 503)


async def ready(request: Request) -> Response:
    """The model is loaded before the port answers: what is alive is ready until it ends."""
    return await health(request)


async def list_models(request: Request) -> Response:
    service = _service(request)
    return JSONResponse({"object": "list", "data": [_card(service)]})


async def show_model(request: Request) -> Response:
    service, name = _service(request), request.path_params["name"]
    if name != service.model_name:
        raise faults.model_not_found(name)
    return JSONResponse(_card(service))


def _card(service: Service) -> Answer:
    return model_card(service.model_name, service.created, service.prompts.context_length)


async def show_metrics(request: Request) -> Response:
    service = _service(request)
    page = metrics.exposition(service.counters, service.engine.load)
    return PlainTextResponse(page, media_type=metrics.CONTENT_TYPE)


async def complete(request: Request) -> Response:
    service = _service(request)
    asked = completion_request(await _body(request, service.max_body_bytes))
    jobs = await service.completion_jobs(asked)
    echoes = service.echoes(asked, jobs) if asked.is_echo else None
    answers = CompletionAnswers(_head(service, asked.wishes, "cmpl"))
    return await _respond(_Turn(request, service, asked.wishes, jobs, answers, echoes))


async def chat(request: Request) -> Response:
    service = _service(request)
    asked = chat_request(await _body(request, service.max_body_bytes))
    jobs = await service.chat_jobs(asked)
    answers = ChatAnswers(_head(service, asked.wishes, "chatcmpl"), _reader(service, asked.tools))
    return await _respond(_Turn(request, service, asked.wishes, jobs, answers, None))


def _reader(service: Service, tools: ToolWishes | None) -> CallReader | None:
    if tools is None:
        return None
    return CallReader(service.structures.form, frozenset(tool.name for tool in tools.tools))


async def tokenize(request: Request) -> Response:
    service = _service(request)
    ids = await service.tokens(tokenize_request(await _body(request, service.max_body_bytes)))
    return JSONResponse({"count": len(ids), "max_model_len": service.prompts.context_length, "tokens": ids})


async def detokenize(request: Request) -> Response:
    service = _service(request)
    ids = detokenize_request(await _body(request, service.max_body_bytes))
    return JSONResponse({"prompt": await service.text(ids)})


def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def _head(service: Service, wishes: Wishes, prefix: str) -> Head:
    is_scored = wishes.num_top is not None
    return Head(f"{prefix}-{uuid.uuid4().hex}", int(time.time()), service.model_name, service.names, is_scored)


async def _body(request: Request, max_bytes: int) -> Json:
    """The request's JSON. Raises RequestError."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > max_bytes:
            raise faults.too_large(max_bytes)
    try:
        text = raw.decode()
        value: Json = json.loads(text, parse_constant=_refuse_constant)
        if _HALF.search(text):
            check_text(value)
    except (ValueError, RecursionError) as error:
        raise faults.invalid(f"The request body is not JSON: {error}", code="invalid_json") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class _Turn:
    """A checked request with its jobs and the shapes of its answer."""

    request: Request
    service: Service
    wishes: Wishes
    jobs: Sequence[Job]
    answers: Answers
    echoes: Sequence[str] | None

    @property
    def trace(self) -> Trace:
        return trace_of(self.request.scope)

    def transcript(self) -> Transcript:
        return Transcript(self.jobs, self.service.vocabulary, self.echoes)


async def _respond(turn: _Turn) -> Response:
    exchange = Exchange(turn.service.engine, turn.jobs)
    if turn.wishes.is_stream:
        return EventStream(_events(turn, exchange), on_end=exchange.cancel)
    try:
        return JSONResponse(await _whole(turn, exchange))
    except JobFailed as error:
        fault = _fault(error.failure)
        turn.trace.blame(fault)
        return JSONResponse(fault.json(), fault.status)
    except ClientGone:
        return Response(status_code=_CLIENT_GONE)


def _fault(failure: Failure) -> faults.Fault:
    return faults.shutting_down() if failure.is_shutdown else faults.failure(failure.message)


async def _whole(turn: _Turn, exchange: Exchange) -> Answer:
    transcript = turn.transcript()
    choices = [Choice() for _ in range(transcript.num_choices)]
    async for told in exchange.told(turn.request):
        for index, gained in transcript.gains(told).items():
            choices[index].grow(gained)
        turn.trace.count(transcript.num_prompt_tokens, transcript.num_generated_tokens)
    return turn.answers.whole(choices, usage(transcript.num_prompt_tokens, transcript.num_generated_tokens))


async def _events(turn: _Turn, exchange: Exchange) -> AsyncGenerator[bytes, None]:
    """The stream's bytes; a failure after the first ones is an event of its own, and the last."""
    transcript, answers = turn.transcript(), turn.answers
    extra = {"usage": None} if turn.wishes.includes_usage else {}
    opening = [part for index in range(transcript.num_choices) for part in answers.opening(index)]
    yield b"".join(_event({**answers.chunk([part], None), **extra}) for part in opening)
    try:
        async with aclosing(exchange.told(turn.request)) as batches:
            async for told in batches:
                gains = transcript.gains(told).items()
                turn.trace.count(transcript.num_prompt_tokens, transcript.num_generated_tokens)
                parts = [part for index, gained in gains for part in answers.growth(index, gained)]
                yield b"".join(_event({**answers.chunk([part], None), **extra}) for part in parts)
    except JobFailed as error:
        turn.trace.blame(fault := _fault(error.failure))
        yield _event(fault.json())
        return
    except ClientGone:
        return
    if turn.wishes.includes_usage:
        used = usage(transcript.num_prompt_tokens, transcript.num_generated_tokens)
        yield _event(answers.chunk([], used))
    yield _DONE


def _event(value: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class EventStream(Response):
    """Server-sent events; closes its source and calls `on_end` also when it is cut off."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes, None], *, on_end: Callable[[], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._source = source
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._source) as source:
                async for part in source:
                    if part:
                        await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._on_end()
