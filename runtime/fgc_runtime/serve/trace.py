"""One request from its arrival to the end of its answer: an identity, a count, a line in the log.

The line holds no text of prompts and answers.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fgc_runtime.serve.faults import Fault
from fgc_runtime.serve.metrics import Counters, Histogram
from fgc_runtime.terminal import visible_line

_HEADER = "X-Request-Id"
_FITTING_ID = re.compile(r"[!-~]{1,128}")  # what may stand in a header and in a log
_KEY = "fgc.trace"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Trace:
    """Holds what is known of a request; its handlers add to it."""

    id: str
    began_s: float
    status: int = 0
    reason: str = ""
    num_prompt: int = 0
    num_generated: int = 0
    first_s: float | None = None  # from arrival to the first text
    queue_s: float | None = None  # from the prompt to its reading
    between_tokens: Histogram = field(default_factory=Histogram)
    _paces: dict[int, tuple[int, float]] = field(default_factory=dict)  # by choice, tokens at a time

    def blame(self, fault: Fault) -> None:
        """Note why the answer is an error; a message can quote the request, a code cannot."""
        self.reason = " ".join(filter(None, (fault.param, fault.code))) if fault.code else fault.message

    def count(self, num_prompt: int, num_generated: int) -> None:
        """Note the tokens of prompt and text so far."""
        self.num_prompt, self.num_generated = num_prompt, num_generated
        if self.first_s is None and num_generated:
            self.first_s = time.monotonic() - self.began_s

    def pace(self, choice: int, num_tokens: int) -> None:
        """Note how many tokens a choice has by now: those of one event share the time since the one before."""
        now_s = time.monotonic()
        num_before, then_s = self._paces.get(choice, (0, now_s))
        num_new = num_tokens - num_before
        if num_new == 0:  # another choice's event
            return
        self._paces[choice] = (num_tokens, now_s)
        if num_before:
            self.between_tokens.observe((now_s - then_s) / num_new, num_new)

    def observe(self, counters: Counters) -> None:
        """Add the times of a text to those of others."""
        if self.first_s is None:
            return
        whole_s = time.monotonic() - self.began_s
        counters.whole.observe(whole_s)
        counters.first_token.observe(self.first_s)
        if self.queue_s is not None:
            counters.queue.observe(self.queue_s)
        counters.between_tokens.add(self.between_tokens)
        if (num_later := sum(self.between_tokens.counts)) > 0:
            counters.mean_between.observe(self.between_tokens.sum_s / num_later)

    def line(self, what: str) -> str:
        """Returns the line of the log."""
        parts = [f"{what} {self.status}", f"{time.monotonic() - self.began_s:.3f} s"]
        if self.num_prompt:
            parts.append(f"{self.num_prompt} tokens read, {self.num_generated} generated")
        if self.first_s is not None:
            parts.append(f"first after {self.first_s:.3f} s")
        return visible_line("; ".join(filter(None, (*parts, self.reason, f"id {self.id}"))))


def trace_of(scope: Scope) -> Trace:
    """Returns what the outermost layer noted of a request."""
    return cast(Trace, scope[_KEY])


class Tracing:
    """Gives each request its identity, the client's own if it sent one, and logs and counts its answer."""

    def __init__(self, app: ASGIApp, counters: Counters, on_end: Callable[[Scope], None]) -> None:
        self._app = app
        self._counters = counters
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = scope[_KEY] = Trace(_identity(scope), time.monotonic())

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                MutableHeaders(scope=message)[_HEADER] = trace.id
                route = getattr(scope.get("route"), "path", "other")
                self._counters.answers[route, trace.status] += 1
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._on_end(scope)
            trace.observe(self._counters)
            _log.info(trace.line(f"{scope['method']} {scope['path']}"))


def _identity(scope: Scope) -> str:
    brought = dict(scope["headers"]).get(_HEADER.lower().encode(), b"").decode("latin-1").strip()
    return brought if _FITTING_ID.fullmatch(brought) else uuid.uuid4().hex
