"""A model folder and options in, a service out: weights on their device, tokenizer, chat template, engine."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.generate.engine import Deliver, Engine
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.vocabulary import vocabulary_of
from fgc_runtime.serve.arguments import Options
from fgc_runtime.serve.call_formats import format_of
from fgc_runtime.serve.embeddings import Pooling, PoolingError, pooling_of
from fgc_runtime.serve.folder import FolderError, ModelFolder
from fgc_runtime.serve.guards import is_loopback
from fgc_runtime.serve.prompts import PromptReader
from fgc_runtime.serve.service import Door, Service
from fgc_runtime.serve.structures import Structures
from fgc_runtime.serve.tokens import TokenNames
from fgc_runtime.trust import UntrustedCode, checked_folder

_MAKES_TEXTS = ("ForCausalLM", "LMHeadModel")
_NO_LIMIT = 10**9  # tokenizers without a length say 10**30


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(folder: ModelFolder, options: Options) -> Loaded:
    """Load weights and tokenizer. Raises FolderError with the reason that transformers gives."""
    try:
        device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type == "cpu":
            torch.set_num_threads(_num_threads(options.threads))
        with _joined(folder) as whole:
            model = _load_model(whole, folder.config, options, device)
        checked = checked_folder(folder.tokenizer, is_told=options.trust_remote_code)
        tokenizer = AutoTokenizer.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    except FolderError:
        raise
    except UntrustedCode as error:
        raise FolderError(str(error)) from None
    except Exception as error:  # anything: model code is foreign code
        raise FolderError(f"{folder.weights} cannot be loaded: {type(error).__name__}: {error}") from error
    return Loaded(model, tokenizer)


def _num_threads(asked: int | None) -> int:
    """All cores but one, which is left to HTTP: threads that wait for a busy core cost more than they add."""
    if asked is not None or "OMP_NUM_THREADS" in os.environ:
        return asked or torch.get_num_threads()
    return max(1, torch.get_num_threads() - 1)


@contextmanager
def _joined(folder: ModelFolder) -> Iterator[Path]:
    """One folder that has it all: links, if a checkpoint holds the weights and its run the config and model code."""
    if folder.config == folder.weights:
        yield folder.weights
        return
    with TemporaryDirectory(prefix="fgc-serve-") as parent:
        whole = Path(parent) / folder.name
        whole.mkdir()
        for path in (*folder.config.iterdir(), *folder.weights.iterdir()):
            if path.is_file():
                (whole / path.name).unlink(missing_ok=True)
                (whole / path.name).symlink_to(path.resolve())
        yield whole


def _load_model(folder: Path, home: Path, options: Options, device: torch.device) -> PreTrainedModel:
    checked = checked_folder(folder, is_told=options.trust_remote_code, home=home)
    auto = AutoModel if is_embedder(home) else AutoModelForCausalLM
    loaded = auto.from_pretrained(
        checked.path,
        dtype=_dtype(options.dtype, device),
        attn_implementation=options.attn_implementation,
        output_loading_info=True,
        trust_remote_code=checked.is_trusted,
    )
    model, report = cast(tuple[PreTrainedModel, dict[str, set[str]]], loaded)
    is_needed = {key: auto is AutoModelForCausalLM or "pooler" not in key for key in report["missing_keys"]}
    if missing := sorted(key for key in is_needed if is_needed[key]):
        raise FolderError(f"{folder} lacks {len(missing)} of the model's weights: {', '.join(missing[:5])} ...")
    torch.nn.Module.to(model, device)
    return model


def is_embedder(folder: Path) -> bool:
    """Returns True for a folder of sentence-transformers whose model makes no texts."""
    if not (folder / "modules.json").is_file():
        return False
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return not any(str(name).endswith(_MAKES_TEXTS) for name in config.get("architectures") or [])


def _pooling(folder: ModelFolder) -> Pooling:
    try:
        return pooling_of(folder.config)
    except (PoolingError, OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(f"{folder.config}/modules.json says how to make embeddings, but {error}.") from error


def _dtype(name: str, device: torch.device) -> torch.dtype | str:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"  # 16 bits on a CPU without AMX: 20 times slower
    dtype = getattr(torch, name, None)
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise FolderError(f"--dtype {name}: give auto, float32, bfloat16 or float16.")
    return dtype


def make_service(
    folder: ModelFolder, loaded: Loaded, options: Options, *, chat_template: str | None, deliver: Deliver
) -> Service:
    """The service with its engine, not yet started; `chat_template` replaces the tokenizer's."""
    model, tokenizer = loaded.model, loaded.tokenizer
    forward, vocabulary = Forward(model), vocabulary_of(tokenizer)
    ends = end_ids(model, tokenizer)
    _refuse_nan(forward, folder)
    engine = Engine(
        forward,
        vocabulary,
        end_ids=ends,
        max_batch_size=options.max_batch_size,
        kv_memory_bytes=options.kv_memory_bytes,
        deliver=deliver,
    )
    longest = options.context_length or context_length(model, tokenizer)
    fitting = min((each for each in (longest, engine.max_tokens) if each is not None), default=None)
    prompts = _prompt_reader(loaded, fitting, forward.vocab_size, chat_template)
    return Service(
        model_name=options.model_name or folder.name,
        created=int(time.time()),
        engine=engine,
        vocabulary=vocabulary,
        names=TokenNames(tokenizer),
        prompts=prompts,
        structures=Structures(tokenizer, format_of(prompts.chat_template), forward.vocab_size, ends),
        pooling=_pooling(folder),
        generates=not is_embedder(folder.config),
        max_body_bytes=options.max_body_bytes,
        has_page=options.page,
        door=_door(options),
    )


@torch.inference_mode()
def _refuse_nan(forward: Forward, folder: ModelFolder) -> None:
    """Raises FolderError for weights that make no numbers: each answer would be the first token of the vocabulary."""
    if not is_embedder(folder.config) and bool(forward([[0, 1]]).isnan().any()):
        raise FolderError(f"{folder.weights}: the model's logits are not numbers (NaN). Its weights are broken.")


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
