"""What one server process serves: the model with its name, limits and engine. Turns checked requests into jobs."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from fgc_runtime.generate.detokenizer import Vocabulary
from fgc_runtime.generate.engine import Engine
from fgc_runtime.generate.guides import Grammar
from fgc_runtime.generate.job import Job
from fgc_runtime.serve.embeddings import EmbeddingRequest, Pooling
from fgc_runtime.serve.ending import Ending
from fgc_runtime.serve.faults import RequestError, invalid, model_not_found, shutting_down, too_busy, too_long
from fgc_runtime.serve.metrics import Counters
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.requests import ChatRequest, CompletionRequest, TokenizeRequest, Wishes
from fgc_runtime.serve.response_store import ResponseStore
from fgc_runtime.serve.structure import Structure
from fgc_runtime.serve.structures import Structures
from fgc_runtime.serve.tokens import TokenNames
from fgc_runtime.serve.tools import ToolWishes

T = TypeVar("T")
_UNBOUNDED_TOKENS = 4096  # for a model that does not say how long its context is
_MAX_WAITING = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """Who may ask: `is_local` if the server listens on this machine only, with the names that it has beside its own."""

    api_key: str | None = None
    is_local: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()  # of pages, as browsers send them


@dataclass(frozen=True, slots=True)
class Service:
    """Read by all request handlers; prompts are encoded on one other thread, so that long ones block nobody."""

    model_name: str
    created: int  # seconds since 1970
    engine: Engine
    vocabulary: Vocabulary
    names: TokenNames
    prompts: PromptReader
    structures: Structures
    max_body_bytes: int
    door: Door = Door()
    pooling: Pooling = field(default_factory=Pooling)
    generates: bool = True  # False for a model of embeddings only
    has_page: bool = True
    ending: Ending = field(default_factory=Ending)
    counters: Counters = field(default_factory=Counters)
    responses: ResponseStore = field(default_factory=ResponseStore)
    encoder: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "encode"))

    async def completion_jobs(self, request: CompletionRequest) -> list[Job]:
        """One job for each prompt. Raises RequestError."""
        self._check(request.wishes, len(request.prompts))
        for prompt in request.prompts:
            self.prompts.check_size(len(prompt), param="prompt")
        encoded = [await self._encoded(partial(self.prompts.completion, prompt)) for prompt in request.prompts]
        grammar = await self._grammar(request.wishes.structure)
        is_scored = request.is_echo and request.wishes.num_top is not None
        jobs = [self._job(request.wishes, ids, param="prompt") for ids in encoded]
        return [replace(job, scores_prompt=is_scored, grammar=grammar) for job in jobs]

    async def chat_jobs(self, request: ChatRequest) -> list[Job]:
        """One job. Raises RequestError."""
        self._check(request.wishes, 1)
        self.prompts.check_size(request.conversation.num_chars, param="messages")
        ids = await self._encoded(partial(self.prompts.chat, request.conversation))
        grammar = await self._grammar(request.wishes.structure, request.tools)
        shown_ids = self.structures.shown_ids if request.tools is not None else frozenset[int]()
        return [replace(self._job(request.wishes, ids, param="messages"), grammar=grammar, shown_ids=shown_ids)]

    async def _grammar(self, structure: Structure | None, tools: ToolWishes | None = None) -> Grammar | None:
        wanted = self.structures.wanted(structure, tools)
        if wanted is None:
            return None
        return await self._encoded(partial(self.structures.compile, wanted))

    async def _encoded(self, work: Callable[[], T]) -> T:
        """Returns what the encoding thread makes. Raises RequestError, also when the server ends before."""
        if self.ending.has_begun:
            raise RequestError(shutting_down())
        made = asyncio.get_running_loop().run_in_executor(self.encoder, work)
        over = asyncio.ensure_future(self.ending.is_over.wait())
        await asyncio.wait((made, over), return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if made.done():
            return made.result()
        raise RequestError(shutting_down())

    async def embedding_texts(self, request: EmbeddingRequest) -> list[tuple[int, ...]]:
        """The ids of the texts to embed. Raises RequestError."""
        self._check_model(request.model)
        for text in request.texts:
            self.prompts.check_size(len(text), param="input")
        return [await self._encoded(partial(self.prompts.embedding, text)) for text in request.texts]

    async def tokens(self, request: TokenizeRequest) -> tuple[int, ...]:
        """The ids of a text or of a conversation. Raises RequestError."""
        asked = request.asked
        if not isinstance(asked, str):
            self.prompts.check_size(asked.num_chars, param="messages")
            return await self._encoded(partial(self.prompts.chat, asked))
        self.prompts.check_size(len(asked), param="prompt")
        return await self._encoded(partial(self.prompts.text_tokens, asked, is_begun=request.is_begun))

    async def text(self, ids: Sequence[int]) -> str:
        """The text of ids. Raises RequestError."""
        self.prompts.check_size(len(ids), param="tokens")
        return await self._encoded(partial(self.prompts.text, ids))

    def echoes(self, request: CompletionRequest, jobs: Sequence[Job]) -> list[str]:
        """The prompts as text, as they were sent if they were sent as text."""
        pairs = zip(request.prompts, jobs, strict=True)
        return [prompt if isinstance(prompt, str) else self.vocabulary.decode(job.prompt) for prompt, job in pairs]

    def _check_model(self, name: str | None) -> None:
        if name is not None and name != self.model_name:
            raise model_not_found(name)

    def _check(self, wishes: Wishes, num_prompts: int) -> None:
        self._check_model(wishes.model)
        if not self.generates:
            raise invalid("This model makes embeddings, and no texts.", param="model", code="unsupported_model")
        for name, tokens in (("logit_bias", wishes.sampling.logit_bias), ("stop_token_ids", wishes.stop_ids)):
            for token in tokens:
                if token >= self.prompts.vocab_size:
                    message = f"Invalid '{name}': {token} is not in the vocabulary of {self.prompts.vocab_size}."
                    raise invalid(message, param=name, code="invalid_token_id")
        if self.engine.load.num_waiting + num_prompts > _MAX_WAITING:
            raise too_busy()

    def _job(self, wishes: Wishes, ids: Sequence[int], *, param: str) -> Job:
        return Job(
            prompt=tuple(ids),
            max_tokens=self._max_tokens(wishes.max_tokens, len(ids), param=param),
            sampling=wishes.sampling,
            num_choices=wishes.num_choices,
            seed=wishes.seed,
            stops=wishes.stops,
            stop_ids=wishes.stop_ids,
            min_tokens=wishes.min_tokens,
            ignores_end=wishes.ignores_end,
            num_top=wishes.num_top,
        )

    def _max_tokens(self, wanted: int | None, num_prompt: int, *, param: str) -> int:
        """What is asked for, cut to what the context has room for: a limit is no promise."""
        context_length = self.prompts.context_length
        if context_length is None:
            return _UNBOUNDED_TOKENS if wanted is None else wanted
        room = context_length - num_prompt
        if room == 0 and wanted != 0:
            raise too_long(context_length, num_prompt + 1, param=param)
        return room if wanted is None else min(wanted, room)
