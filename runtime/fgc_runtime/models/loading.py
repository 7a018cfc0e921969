"""A model's folder to its weights on a device and its tokenizer, to be served or evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.models.finding import FolderError, ModelFolder, joined
from fgc_runtime.trust import UntrustedCode, checked_folder


class LoadOptions(Protocol):
    """Says how a model is loaded; the options of a command line are one."""

    @property
    def device(self) -> str | None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def attn_implementation(self) -> str | None: ...
    @property
    def trust_remote_code(self) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(folder: ModelFolder, options: LoadOptions, *, is_embedder: bool = False) -> Loaded:
    """Loads weights and tokenizer; of an embedder without the pooler, which no vector needs.

    Raises FolderError, with the reason that transformers gives, also for code that may not run and weights that are
    missing.
    """
    with _told(folder.weights):
        device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with joined(folder) as whole:
            model = _load_model(whole, folder, options, device, is_embedder=is_embedder)
        torch.nn.Module.to(model, device)
    return Loaded(model, load_tokenizer(folder.tokenizer, options))


def load_tokenizer(folder: Path, options: LoadOptions) -> PreTrainedTokenizerBase:
    """Loads a folder's tokenizer. Raises FolderError."""
    with _told(folder):
        checked = checked_folder(folder, is_told=options.trust_remote_code)
        tokenizer: Any = AutoTokenizer.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    return cast(PreTrainedTokenizerBase, tokenizer)


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Makes a FolderError of whatever is raised in the body: model code is foreign code."""
    try:
        yield
    except FolderError:
        raise
    except UntrustedCode as error:
        raise FolderError(str(error)) from None
    except Exception as error:
        raise FolderError(f"{place} cannot be loaded: {type(error).__name__}: {error}") from error


def _load_model(
    whole: Path, folder: ModelFolder, options: LoadOptions, device: torch.device, *, is_embedder: bool
) -> PreTrainedModel:
    checked = checked_folder(whole, is_told=options.trust_remote_code, home=folder.config)
    auto = AutoModel if is_embedder else AutoModelForCausalLM
    loaded = auto.from_pretrained(
        checked.path,
        dtype=_dtype(options.dtype, device),
        attn_implementation=options.attn_implementation,
        output_loading_info=True,
        trust_remote_code=checked.is_trusted,
    )
    model, report = cast(tuple[PreTrainedModel, dict[str, set[str]]], loaded)
    missing = sorted(key for key in report["missing_keys"] if not (is_embedder and "pooler" in key))
    if missing:
        more = " ..." if len(missing) > 5 else ""
        raise FolderError(
            f"{folder.weights} lacks {len(missing)} of the model's weights: {', '.join(missing[:5])}{more}"
        )
    return model


def _dtype(name: str, device: torch.device) -> torch.dtype | str:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"  # 16 bits on a CPU without AMX: 20 times slower
    dtype = getattr(torch, name, None)
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise FolderError(f"--dtype {name}: give auto, float32, bfloat16 or float16.")
    return dtype
