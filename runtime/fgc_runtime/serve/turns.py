"""A checked request with its jobs in, the HTTP response out: whole, or a stream of server-sent events."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from fgc_runtime.generate.job import Failure, Job
from fgc_runtime.serve import faults
from fgc_runtime.serve.answers import Answer, Answers, Choice, usage
from fgc_runtime.serve.exchange import ClientGone, Exchange, JobFailed
from fgc_runtime.serve.requests import StreamUsage, Wishes
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.trace import Trace, trace_of
from fgc_runtime.serve.transcript import Transcript

_CLIENT_GONE = 499  # nginx's number for an answer that nobody waits for; never sent
_DONE = b"data: [DONE]\n\n"


class Shape(Protocol):
    """Writes what one endpoint tells of its choices."""

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer: ...

    def begin(self, num_choices: int) -> bytes:
        """Returns the events before any text."""

    def grow(self, gains: Mapping[int, Choice], used: Answer) -> bytes:
        """Returns the events of what the choices gained; `used` counts tokens until now."""

    def end(self, used: Answer) -> bytes:
        """Returns the last events."""

    def fail(self, fault: faults.Fault) -> bytes:
        """Returns the last events of an answer that could not be finished."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """The older endpoints: chunks of one form, and `[DONE]`."""

    answers: Answers
    usage: StreamUsage

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        return self.answers.whole(choices, used)

    def begin(self, num_choices: int) -> bytes:
        return self._chunks([part for index in range(num_choices) for part in self.answers.opening(index)], None)

    def grow(self, gains: Mapping[int, Choice], used: Answer) -> bytes:
        parts = [part for index, gained in gains.items() for part in self.answers.growth(index, gained)]
        return self._chunks(parts, used if self.usage == "always" else None)

    def end(self, used: Answer) -> bytes:
        return (event(self.answers.chunk([], used)) if self.usage != "none" else b"") + _DONE

    def fail(self, fault: faults.Fault) -> bytes:
        return event(fault.json())

    def _chunks(self, parts: Sequence[Answer], used: Answer | None) -> bytes:
        extra = {"usage": used} if self.usage != "none" else {}
        return b"".join(event({**self.answers.chunk([part], None), **extra}) for part in parts)


@dataclass(frozen=True, slots=True)
class Turn:
    """A checked request with its jobs and the shape of its answer."""

    request: Request
    service: Service
    wishes: Wishes
    jobs: Sequence[Job]
    shape: Shape
    echoes: Sequence[str] | None = None
    num_best: int | None = None  # how many of a prompt's choices are answered; None is all

    @property
    def trace(self) -> Trace:
        return trace_of(self.request.scope)

    def transcript(self) -> Transcript:
        return Transcript(self.jobs, self.service.vocabulary, self.echoes)


async def respond(turn: Turn) -> Response:
    """Submit the jobs and answer with what they give."""
    exchange = Exchange(turn.service.engine, turn.jobs)
    if turn.wishes.is_stream:
        return EventStream(_events(turn, exchange), on_end=exchange.cancel)
    try:
        return JSONResponse(await _whole(turn, exchange))
    except JobFailed as error:
        fault = fault_of(error.failure)
        turn.trace.blame(fault)
        return JSONResponse(fault.json(), fault.status)
    except ClientGone:
        return Response(status_code=_CLIENT_GONE)


def fault_of(failure: Failure) -> faults.Fault:
    if failure.is_asked_for:
        return faults.Fault(400, failure.message, "response_format", "unsupported_schema")
    return faults.shutting_down() if failure.is_shutdown else faults.failure(failure.message)


async def _whole(turn: Turn, exchange: Exchange) -> Answer:
    transcript = turn.transcript()
    choices = [Choice() for _ in range(transcript.num_choices)]
    async for told in exchange.told(turn.request):
        for index, gained in transcript.gains(told).items():
            choices[index].grow(gained)
        _note(turn.trace, transcript, exchange)
    if turn.num_best is not None and turn.num_best < turn.wishes.num_choices:
        choices = transcript.best(choices, turn.num_best)
    return turn.shape.whole(choices, usage(transcript.num_prompt_tokens, transcript.num_generated_tokens))


async def _events(turn: Turn, exchange: Exchange) -> AsyncGenerator[bytes, None]:
    """The stream's bytes; a failure after the first ones is an event of its own, and the last."""
    transcript, shape = turn.transcript(), turn.shape
    yield shape.begin(transcript.num_choices)
    try:
        async with aclosing(exchange.told(turn.request)) as batches:
            async for told in batches:
                gains = transcript.gains(told)
                _note(turn.trace, transcript, exchange)
                yield shape.grow(gains, usage(transcript.num_prompt_tokens, transcript.num_generated_tokens))
    except JobFailed as error:
        turn.trace.blame(fault := fault_of(error.failure))
        yield shape.fail(fault)
        return
    except ClientGone:
        return
    yield shape.end(usage(transcript.num_prompt_tokens, transcript.num_generated_tokens))


def _note(trace: Trace, transcript: Transcript, exchange: Exchange) -> None:
    """Tell the log and the histograms how far a text is."""
    trace.count(transcript.num_prompt_tokens, transcript.num_generated_tokens)
    trace.queue_s = exchange.queue_s
    for choice, num_tokens in transcript.num_tokens.items():
        trace.pace(choice, num_tokens)


def event(value: Mapping[str, object], *, name: str = "") -> bytes:
    """Returns a server-sent event; OpenAI's newer ones have a name too."""
    front = f"event: {name}\n".encode() if name else b""
    return front + b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


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
