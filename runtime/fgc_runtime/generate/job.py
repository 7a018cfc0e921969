"""Questions to the engine, and its answers: plain data that crosses threads."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.guides import Grammar
from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.generate.scores import ScoredToken

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt, continued `num_choices` times by at most `max_tokens` tokens each."""

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    num_choices: int = 1
    seed: int | None = None
    stops: tuple[str, ...] = ()
    ignores_end: bool = False  # go on after an end-of-text token
    stop_ids: frozenset[int] = frozenset()  # end the text as end-of-text tokens do, also where those are ignored
    min_tokens: int = 0  # before these no token ends the text
    grammar: Grammar | None = None  # of the whole text; it alone says where the text may end
    shown_ids: frozenset[int] = frozenset()  # special tokens that are part of the text
    num_top: int | None = None  # alternatives to score beside each token; None scores nothing
    scores_prompt: bool = False


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A scored token and where its text begins in its choice's text, in characters."""

    token: ScoredToken
    offset: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Holds what one choice gained; the last one has a finish."""

    choice: int
    text: str
    tokens: tuple[PlacedToken, ...]
    num_tokens: int  # generated so far, also those that show no text
    logprob: float  # of all of them together, where tokens are scored
    finish: Finish | None


@dataclass(frozen=True, slots=True)
class PromptScores:
    tokens: tuple[ScoredToken, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """The job ended without a result; nothing follows."""

    message: str
    is_shutdown: bool = False
    is_asked_for: bool = False  # by what the request wanted: a grammar that grew beyond the limits


@dataclass(frozen=True, slots=True)
class Computed:
    """Holds what a computation gave."""

    value: object


Event = Delta | PromptScores | Computed | Failure
Sink = Callable[[Event], None]


@dataclass(slots=True, eq=False)
class Ticket:
    """A submitted job; setting `is_cancelled`, from any thread, ends it at the next step without an event."""

    job: Job
    sink: Sink
    number: int = 0  # in the order of arrival
    is_cancelled: bool = False
    submitted_s: float = field(default_factory=time.monotonic)
    begun_s: float | None = None  # when its prompt began to be read


@dataclass(frozen=True, slots=True, eq=False)
class Computation:
    """Something else that the model's thread does between two steps, such as a vector of a text."""

    compute: Callable[[Forward], object]
    sink: Sink
