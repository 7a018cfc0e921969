"""A served model with its name, limits and engine. Turns checked requests into jobs."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from fgc_runtime.generate.detokenizer import Vocabulary
from fgc_runtime.generate.engine import Engine
from fgc_runtime.generate.guides import Grammar
from fgc_runtime.generate.job import Job
from fgc_runtime.serve.defaults import Defaults
from fgc_runtime.serve.embeddings import EmbeddingRequest, Pooling
from fgc_runtime.serve.faults import invalid, too_busy, too_long
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.requests import ChatRequest, CompletionRequest, TokenizeRequest, Wishes
from fgc_runtime.serve.site import Site
from fgc_runtime.serve.structure import Structure
from fgc_runtime.serve.structures import Structures
from fgc_runtime.serve.thoughts import ThoughtReader
from fgc_runtime.serve.tokens import TokenNames

T = TypeVar("T")
_UNBOUNDED_TOKENS = 4096  # for a model that does not say how long its context is
_MAX_WAITING = 1024


@dataclass(frozen=True, slots=True)
class Service:
    """A served model, used by all request handlers; prompts are encoded on a separate thread."""

    model_name: str
    created: int  # seconds since 1970
    engine: Engine
    vocabulary: Vocabulary
    names: TokenNames
    prompts: PromptReader
    structures: Structures
    site: Site
    parent: str | None = None  # of an adapter, the model's name
    checkpoint: str | None = None  # the name of the training's checkpoint that is served, if it is one
    pooling: Pooling = field(default_factory=Pooling)
    defaults: Defaults = field(default_factory=Defaults)
    generates: bool = True  # False for a model of embeddings only
    id: str = field(default_factory=lambda: uuid.uuid4().hex)  # tells a model from the one that takes its place

    async def completion_jobs(self, request: CompletionRequest) -> list[Job]:
        """Returns one job for each prompt. Raises RequestError."""
        self._check(request.wishes, len(request.prompts))
        for prompt in request.prompts:
            self.prompts.check_size(len(prompt), param="prompt")
        self.prompts.check_size(len(request.suffix), param="suffix")
        read = partial(self.prompts.completion, is_begun=request.is_begun)
        if request.suffix:
            read = partial(self.prompts.gap, suffix=request.suffix, is_begun=request.is_begun)
        encoded = [await self._encoded(partial(read, prompt)) for prompt in request.prompts]
        grammar = await self._grammar(request.wishes.structure)
        jobs = [self._job(request.wishes, ids, param="prompt") for ids in encoded]
        return [replace(self._completing(job, request), grammar=grammar) for job in jobs]

    def _completing(self, job: Job, request: CompletionRequest) -> Job:
        """Returns a job with the options that only completions have."""
        if request.suffix and self.prompts.infill is not None and not job.ignores_end:
            job = replace(job, stop_ids=job.stop_ids | self.prompts.infill.ends)
        if request.num_best < job.num_choices and job.num_top is None:
            job = replace(job, num_top=0)  # to tell which are the best
        return replace(job, scores_prompt=request.is_echo and request.wishes.num_top is not None)

    async def chat_jobs(self, request: ChatRequest) -> tuple[list[Job], ThoughtReader | None]:
        """Returns one job, and the reader of thoughts if the model thinks. Raises RequestError."""
        self._check(request.wishes, 1)
        self.prompts.check_size(request.conversation.num_chars, param="messages")
        ids, start = await self._encoded(partial(self.prompts.chat_begun, request.conversation))
        form = self.prompts.thoughts
        head = "" if form is None or start == "closed" else form.answer_head
        structure = self.structures.wanted(request.wishes.structure, request.tools, head=head)
        if structure is not None and form is not None:
            structure = self.structures.behind_thoughts(structure, form, start)
        shown_ids = self.structures.shown_ids if request.tools is not None else frozenset[int]()
        if form is not None:
            shown_ids |= self.structures.ids_of(form.markers)
        job = self._job(request.wishes, ids, param="messages")
        grammar = await self._grammar(structure)
        reader = None if form is None else form.reader(start)
        return [replace(job, grammar=grammar, shown_ids=shown_ids)], reader

    async def _grammar(self, wanted: Structure | None) -> Grammar | None:
        if wanted is None:
            return None
        return await self._encoded(partial(self.structures.compile, wanted))

    async def _encoded(self, work: Callable[[], T]) -> T:
        return await self.site.encoder.made(work, self.site.ending)

    async def embedding_texts(self, request: EmbeddingRequest) -> list[tuple[int, ...]]:
        """Returns the ids of the texts to embed. Raises RequestError."""
        for text in request.texts:
            self.prompts.check_size(len(text), param="input")
        return [await self._encoded(partial(self.prompts.embedding, text)) for text in request.texts]

    async def tokens(self, request: TokenizeRequest) -> tuple[int, ...]:
        """Returns the ids of a text or of a conversation. Raises RequestError."""
        asked = request.asked
        if not isinstance(asked, str):
            self.prompts.check_size(asked.num_chars, param="messages")
            return await self._encoded(partial(self.prompts.chat, asked))
        self.prompts.check_size(len(asked), param="prompt")
        return await self._encoded(partial(self.prompts.text_tokens, asked, is_begun=request.is_begun))

    async def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids. Raises RequestError."""
        self.prompts.check_size(len(ids), param="tokens")
        return await self._encoded(partial(self.prompts.text, ids))

    def echoes(self, request: CompletionRequest, jobs: Sequence[Job]) -> list[str]:
        """The prompts as text, as they were sent if they were sent as text."""
        pairs = zip(request.prompts, jobs, strict=True)
        return [prompt if isinstance(prompt, str) else self.vocabulary.decode(job.prompt) for prompt, job in pairs]

    def _check(self, wishes: Wishes, num_prompts: int) -> None:
        if not self.generates:
            raise invalid("This model makes embeddings, and no texts.", param="model", code="unsupported_model")
        for name, tokens in (("logit_bias", wishes.sampling.logit_bias), ("stop_token_ids", wishes.stop_ids)):
            for token in tokens:
                if token >= self.prompts.vocab_size:
                    message = f"Invalid '{name}': {token} is not in the vocabulary of {self.prompts.vocab_size}."
                    raise invalid(message, param=name, code="invalid_token_id")
        if self.engine.load.num_waiting + self.site.encoder.num_waiting + num_prompts > _MAX_WAITING:
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
        """Returns the number of tokens to generate: the request's limit, or the room left in the context if smaller."""
        context_length = self.prompts.context_length
        if context_length is None:
            return _UNBOUNDED_TOKENS if wanted is None else wanted
        room = context_length - num_prompt
        if room == 0 and wanted != 0:
            raise too_long(context_length, num_prompt + 1, param=param)
        return room if wanted is None else min(wanted, room)
