"""The newest checkpoint of a training that goes on, served as it appears (`--follow`)."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fgc_runtime.models.finding import FolderError, ModelFolder, find_newest
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.site import Models

INTERVAL_S = 2.0

_log = logging.getLogger(__name__)


def first_model(
    find: Callable[[], ModelFolder], say: Callable[[str], None], interval_s: float = INTERVAL_S
) -> ModelFolder:
    """Returns the model of a run, when its first checkpoint is there; says once that it waits."""
    is_said = False
    while True:
        try:
            return find()
        except FolderError as error:
            if not is_said:
                say(f"Waiting for the first checkpoint ({str(error).splitlines()[0]})")
                is_said = True
        time.sleep(interval_s)


@dataclass(slots=True)
class Follower:
    """Looks for newer weights of one model on a thread of its own, loads them, and puts them in the model's place."""

    run: Path
    tokenizer: Path | None
    name: str
    current: ModelFolder
    make: Callable[[ModelFolder, str], Service]
    models: Models
    say: Callable[[str], None]
    interval_s: float = INTERVAL_S
    told: str = ""  # why the last try failed: said once, not with each

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        threading.Thread(target=self._follow, args=(loop,), name=f"follow {self.name}", daemon=True).start()

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self.models.site.ending.has_begun:
            time.sleep(self.interval_s)
            service = self.newer()
            if service is not None and not loop.is_closed():
                service.engine.start()
                loop.call_soon_threadsafe(self.models.replace, service)
                self.say(f"Serving {self.name} from {self.current.weights}")

    def newer(self) -> Service | None:
        """Returns the model of newer weights, if there are some that can be loaded."""
        try:
            found = find_newest(self.run, self.tokenizer)
            if found == self.current:
                return None
            service = self.make(found, self.name)
        except Exception as error:  # removed meanwhile, broken, no memory for two: the next one may do
            if str(error) != self.told:
                _log.warning("the newest checkpoint of %s cannot be served yet: %s", self.run, error)
            self.told = str(error)
            return None
        self.current = found
        return service
