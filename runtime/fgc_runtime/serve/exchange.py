"""The jobs of one HTTP request and their events, on the event loop.

Whatever ends the exchange (the last choice, a failure, a client that disconnects), none of its jobs keeps running.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import TypeVar, cast

from starlette.requests import Request

from fgc_runtime.generate.engine import Engine
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.job import Computation, Computed, Delta, Event, Failure, Job, PromptScores

T = TypeVar("T")
Told = tuple[int, Delta | PromptScores]  # which job, and what


class JobFailed(Exception):
    """A job failed in the engine."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ClientGone(Exception):
    """The client has disconnected."""


class Exchange:
    """Submits jobs; `told` is read once."""

    def __init__(self, engine: Engine, jobs: Sequence[Job]) -> None:
        self._queue: asyncio.Queue[tuple[int, Event] | None] = asyncio.Queue()
        self._num_open = sum(job.num_choices for job in jobs)
        self._tickets = [engine.submit(job, partial(self._receive, number)) for number, job in enumerate(jobs)]

    def cancel(self) -> None:
        for ticket in self._tickets:
            ticket.is_cancelled = True

    @property
    def queue_s(self) -> float | None:
        """Returns the seconds that the first prompt waited before it was read; None if it is still waiting."""
        ticket = self._tickets[0]
        return None if ticket.begun_s is None else ticket.begun_s - ticket.submitted_s

    async def told(self, request: Request) -> AsyncGenerator[list[Told], None]:
        """Yields events as they arrive until every choice has finished.

        Raises JobFailed or ClientGone.
        """
        watcher = asyncio.create_task(self._watch(request))
        try:
            while self._num_open:
                told = [_checked(await self._queue.get())]
                while not self._queue.empty():
                    told.append(_checked(self._queue.get_nowait()))
                self._num_open -= sum(isinstance(event, Delta) and event.finish is not None for _, event in told)
                yield told
        finally:
            self.cancel()
            watcher.cancel()

    def _receive(self, number: int, event: Event) -> None:
        self._queue.put_nowait((number, event))

    async def _watch(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self._queue.put_nowait(None)


def _checked(item: tuple[int, Event] | None) -> Told:
    if item is None:
        raise ClientGone
    number, event = item
    if isinstance(event, Failure):
        raise JobFailed(event)
    assert not isinstance(event, Computed), "jobs compute nothing else"
    return number, event


async def computed(engine: Engine, compute: Callable[[Forward], T]) -> T:
    """Runs a function on the model's thread and returns its result. Raises JobFailed."""
    done: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def receive(event: Event) -> None:
        if not done.done():
            done.set_result(event)

    engine.submit_computation(Computation(compute, receive))
    event = await done
    if isinstance(event, Failure):
        raise JobFailed(event)
    assert isinstance(event, Computed), "a computation has no other events"
    return cast(T, event.value)
