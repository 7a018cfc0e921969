"""The state that all models of one server share, and the models by name, which can be replaced at run time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from starlette.types import Scope

from fgc_runtime.generate.engine import Load
from fgc_runtime.serve.encoder import Encoder
from fgc_runtime.serve.ending import Ending
from fgc_runtime.serve.faults import model_not_found
from fgc_runtime.serve.metrics import Counters
from fgc_runtime.serve.response_store import ResponseStore

if TYPE_CHECKING:
    from fgc_runtime.serve.service import Service

_KEY = "fgc.services"


@dataclass(frozen=True, slots=True)
class Door:
    """Says who may ask: `is_local` if the server listens on this machine only, with its names beside its own."""

    api_key: str | None = None
    is_local: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()  # of pages, as browsers send them


@dataclass(frozen=True, slots=True)
class Site:
    """The state that all models share."""

    max_body_bytes: int
    door: Door = Door()
    has_page: bool = True
    ending: Ending = field(default_factory=Ending)
    counters: Counters = field(default_factory=Counters)
    responses: ResponseStore = field(default_factory=ResponseStore)
    encoder: Encoder = field(default_factory=Encoder)


class Models:
    """The models of a server; the first one answers requests that name none. Used on the event loop only."""

    def __init__(self, site: Site, services: "Iterable[Service]") -> None:
        self.site = site
        self._services = {service.model_name: service for service in services}
        self._num_uses: Counter[str] = Counter()  # by `Service.id`
        self._leaving: dict[str, Service] = {}
        self._done = Load()  # what models that are gone have done

    @property
    def first(self) -> "Service":
        return next(iter(self._services.values()))

    @property
    def all(self) -> "list[Service]":
        """The models that requests can name."""
        return list(self._services.values())

    @property
    def is_alive(self) -> bool:
        return all(service.engine.is_alive for service in self.all)

    def find(self, name: str | None) -> "Service":
        """Returns a model by its name. Raises RequestError."""
        if name is None:
            return self.first
        if name not in self._services:
            raise model_not_found(name)
        return self._services[name]

    def lend(self, name: str | None, scope: Scope) -> "Service":
        """Returns a model and keeps it until the request of `scope` has ended. Raises RequestError."""
        service = self.find(name)
        scope.setdefault(_KEY, []).append(service)
        self._num_uses[service.id] += 1
        return service

    def give_back(self, scope: Scope) -> None:
        """Releases the model that `lend` returned."""
        for service in scope.pop(_KEY, []):
            self._num_uses[service.id] -= 1
            self._end_unused(service.id)

    def replace(self, service: "Service") -> None:
        """Replaces the model of the same name by one with a running engine; the old one ends with its last request."""
        old = self._services[service.model_name]
        self._services[service.model_name] = service
        self._leaving[old.id] = old
        self._end_unused(old.id)

    def load(self) -> Load:
        """Returns the load of all models together, including removed ones."""
        loads = [self._done, *(each.engine.load for each in (*self.all, *self._leaving.values()))]
        return Load(*(sum(getattr(load, each.name) for load in loads) for each in fields(Load)))

    def stop(self) -> None:
        """Ends all engines; safe in a signal's handler."""
        for service in (*self.all, *list(self._leaving.values())):
            service.engine.stop()

    def join(self, timeout_s: float) -> None:
        for service in (*self.all, *self._leaving.values()):
            service.engine.join(timeout_s)

    def _end_unused(self, id: str) -> None:
        if id in self._leaving and self._num_uses[id] <= 0:
            service = self._leaving.pop(id)
            service.engine.stop()
            self._done = Load(
                *(getattr(self._done, f.name) + getattr(service.engine.load, f.name) for f in fields(Load))
            )
            self._done.num_running = self._done.num_waiting = 0
            del self._num_uses[id]
