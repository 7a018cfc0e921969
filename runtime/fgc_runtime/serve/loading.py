"""A model folder and options in, a service out: weights on their device, tokenizer, chat template, engine."""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.generate.engine import Deliver, Engine
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.vocabulary import vocabulary_of
from fgc_runtime.models.finding import FolderError, ModelFolder
from fgc_runtime.models.loading import Loaded
from fgc_runtime.models.loading import load as load_model
from fgc_runtime.serve.arguments import Options
from fgc_runtime.serve.call_formats import format_of
from fgc_runtime.serve.defaults import Defaults, read_defaults
from fgc_runtime.serve.embeddings import Pooling, PoolingError, pooling_of
from fgc_runtime.serve.guards import is_loopback
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.site import Door, Site
from fgc_runtime.serve.structures import Structures
from fgc_runtime.serve.tokens import TokenNames

_MAKES_TEXTS = ("ForCausalLM", "LMHeadModel")
_NO_LIMIT = 10**9  # tokenizers without a length say 10**30


def load(folder: ModelFolder, options: Options) -> Loaded:
    """Loads weights and tokenizer. Raises FolderError with the reason that transformers gives."""
    return load_model(folder, options, is_embedder=is_embedder(folder.config))


def use_threads(asked: int | None) -> None:
    """Sets how many threads the CPU computes with: by default all cores but one. Called once, before any model.

    One core is left to HTTP: threads that wait for a busy core cost more than they add.
    """
    if asked is not None:
        torch.set_num_threads(asked)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def is_embedder(folder: Path) -> bool:
    """Returns True for a folder of sentence-transformers whose model makes no texts."""
    if not (folder / "modules.json").is_file():
        return False
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return not any(str(name).endswith(_MAKES_TEXTS) for name in config.get("architectures") or [])


def _defaults(folder: ModelFolder, options: Options) -> Defaults:
    if options.generation_config == "none":
        return Defaults(is_strict=options.strict)
    told = [] if options.generation_config == "auto" else [Path(options.generation_config)]
    return read_defaults(told or [folder.weights, folder.config], is_strict=options.strict)


def _pooling(folder: ModelFolder) -> Pooling:
    try:
        return pooling_of(folder.config)
    except (PoolingError, OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(f"{folder.config}/modules.json says how to make embeddings, but {error}.") from error


@dataclass(frozen=True, slots=True)
class Part:
    """A model's place in a server: its name, and its part of the memory for keys and values."""

    site: Site
    name: str
    kv_share: float = 0.5  # of the free memory, unless it is said how much
    num_parts: int = 1
    parent: str | None = None  # of an adapter, the name of its model


def make_service(
    folder: ModelFolder, loaded: Loaded, options: Options, part: Part, *, chat_template: str | None, deliver: Deliver
) -> Service:
    """Returns the service with its engine, not yet started; `chat_template` replaces the tokenizer's."""
    model, tokenizer = loaded.model, loaded.tokenizer
    forward, vocabulary = Forward(model), vocabulary_of(tokenizer)
    ends = end_ids(model, tokenizer)
    _refuse_nan(forward, folder)
    engine = Engine(
        forward,
        vocabulary,
        end_ids=ends,
        max_batch_size=options.max_batch_size,
        kv_memory_bytes=None if options.kv_memory_bytes is None else options.kv_memory_bytes // part.num_parts,
        kv_share=part.kv_share,
        deliver=deliver,
    )
    longest = options.context_length or context_length(model, tokenizer)
    fitting = min((each for each in (longest, engine.max_tokens) if each is not None), default=None)
    prompts = _prompt_reader(loaded, fitting, forward.vocab_size, chat_template)
    return Service(
        model_name=part.name,
        created=int(time.time()),
        engine=engine,
        vocabulary=vocabulary,
        names=TokenNames(tokenizer),
        prompts=prompts,
        structures=Structures(tokenizer, format_of(prompts.chat_template), forward.vocab_size, ends),
        pooling=_pooling(folder),
        defaults=_defaults(folder, options),
        generates=not is_embedder(folder.config),
        site=part.site,
        parent=part.parent,
        checkpoint=folder.checkpoint,
    )


@torch.inference_mode()
def _refuse_nan(forward: Forward, folder: ModelFolder) -> None:
    """Raises FolderError for weights that make no numbers: each answer would be the first token of the vocabulary."""
    if not is_embedder(folder.config) and bool(forward([[0, 1]]).isnan().any()):
        raise FolderError(f"{folder.weights}: the model's logits are not numbers (NaN). Its weights are broken.")


def make_site(options: Options) -> Site:
    return Site(options.max_body_bytes, _door(options), options.page)


def _door(options: Options) -> Door:
    hosts = (*options.allow_host, options.host)
    return Door(options.api_key, is_loopback(options.host), hosts, tuple(origin.rstrip("/") for origin in options.cors))


def _prompt_reader(loaded: Loaded, longest: int | None, vocab_size: int, chat_template: str | None) -> PromptReader:
    return PromptReader(
        loaded.tokenizer,
        context_length=longest,
        vocab_size=vocab_size,
        chat_template=chat_template or own_template(loaded.tokenizer),
    )


def own_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Returns the chat template that a tokenizer brings; of several without a default the first by name."""
    brought: object = tokenizer.chat_template
    if isinstance(brought, dict):
        return str(brought.get("default") or brought[min(brought)]) if brought else None
    return str(brought) if brought else None


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end a text, by the generation config and by the tokenizer."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several: Iterable[int | None] = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The longest text in tokens, as the model's config or else the tokenizer says."""
    configured = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if isinstance(configured, int) and configured > 0:
        return configured
    length = tokenizer.model_max_length
    return length if 0 < length < _NO_LIMIT else None
