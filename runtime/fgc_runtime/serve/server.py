"""Models in, an HTTP server on a socket that is bound already: start, deliver events, end in good order."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from fgc_runtime.generate.job import Event, Sink
from fgc_runtime.serve import trace
from fgc_runtime.serve.app import application
from fgc_runtime.serve.site import Models

_END_S = 5  # for answers in flight after Ctrl-C; the engine fails them at its next step
_KEEP_ALIVE_S = 75  # longer than clients keep idle connections (httpx: 5 s), so that they close them and not we


class LoopDelivery:
    """Carries events from the engine's thread to the event loop, one wake-up per step of the batch."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, events: Sequence[tuple[Sink, Event]]) -> None:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(_hand_out, events)


def _hand_out(events: Sequence[tuple[Sink, Event]]) -> None:
    for sink, event in events:
        sink(event)


class Server(uvicorn.Server):
    """Ends jobs in flight when a signal comes, so that their clients hear of it; SIGTERM gives them time first."""

    def __init__(self, config: uvicorn.Config, models: Models, drain_s: float) -> None:
        super().__init__(config)
        self._models = models
        self._drain_s = drain_s
        self.is_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        drains = sig == signal.SIGTERM and self._drain_s > 0 and not self.should_exit
        super().handle_exit(sig, frame)
        self.is_interrupted = self.is_interrupted or sig == signal.SIGINT
        self._models.site.ending.begin()
        if drains:
            timer = threading.Timer(self._drain_s, self._end)
            timer.daemon = True
            timer.start()
        else:
            self._end()

    def _end(self) -> None:
        self._models.site.ending.end()
        self._models.stop()


def _log_requests(level: str) -> None:
    """Send the lines of requests to standard error, with the time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger(trace.__name__)
    log.setLevel(level.upper())
    log.addHandler(handler)
    log.propagate = False


def run(
    models: Models,
    listener: socket.socket,
    delivery: LoopDelivery,
    *,
    log_level: str,
    drain_s: float = 0.0,
    beside: Callable[[asyncio.AbstractEventLoop], None] | None = None,
) -> None:
    """Serve until a signal comes; it is raised again at the end, as KeyboardInterrupt for Ctrl-C.

    `beside` is called when the loop runs, for what goes on beside the requests.
    """
    _log_requests(log_level)
    config = uvicorn.Config(
        application(models),
        log_level=log_level,
        access_log=False,  # Tracing writes the lines
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(drain_s) + _END_S,
        lifespan="off",
        ws="none",
    )
    server = Server(config, models, drain_s)

    async def serve() -> None:
        delivery.loop = models.site.ending.loop = asyncio.get_running_loop()
        for service in models.all:
            service.engine.start()
        if beside is not None:
            beside(delivery.loop)
        await server.serve(sockets=[listener])

    try:
        asyncio.run(serve())
    finally:
        models.stop()
        models.join(_END_S)
        models.site.encoder.shutdown()
    if server.is_interrupted:  # uvicorn raises the signal again, and an event loop about to end can lose it
        raise KeyboardInterrupt
