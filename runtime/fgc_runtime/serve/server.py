"""A service in, an HTTP server on a socket that is bound already: start, deliver events, end in good order."""

import asyncio
import logging
import signal
import socket
from collections.abc import Sequence
from types import FrameType

import uvicorn

from fgc_runtime.generate.engine import Engine
from fgc_runtime.generate.job import Event, Sink
from fgc_runtime.serve import trace
from fgc_runtime.serve.app import application
from fgc_runtime.serve.service import Service

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
    """Ends jobs in flight as soon as the first signal comes, so that their clients hear of it."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self.is_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.is_interrupted = self.is_interrupted or sig == signal.SIGINT
        self._engine.stop()


def _log_requests(level: str) -> None:
    """Send the lines of requests to standard error, with the time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger(trace.__name__)
    log.setLevel(level.upper())
    log.addHandler(handler)
    log.propagate = False


def run(service: Service, listener: socket.socket, delivery: LoopDelivery, *, log_level: str) -> None:
    """Serve until a signal comes; it is raised again at the end, as KeyboardInterrupt for Ctrl-C."""
    _log_requests(log_level)
    config = uvicorn.Config(
        application(service),
        log_level=log_level,
        access_log=False,  # Tracing writes the lines
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_END_S,
        lifespan="off",
        ws="none",
    )
    server = Server(config, service.engine)

    async def serve() -> None:
        delivery.loop = asyncio.get_running_loop()
        service.engine.start()
        await server.serve(sockets=[listener])

    try:
        asyncio.run(serve())
    finally:
        service.engine.stop()
        service.engine.join(_END_S)
        service.encoder.shutdown(wait=False)
    if server.is_interrupted:  # uvicorn raises the signal again, and an event loop about to end can lose it
        raise KeyboardInterrupt
