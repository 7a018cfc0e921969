"""A model and its tokenizer to a folder that `from_pretrained` loads, with the model's own code where it has any."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from fgc_runtime.checkpoint.folders import flush
from fgc_runtime.trust import record_code

_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    *,
    state_dict: dict[str, Tensor] | None = None,
) -> None:
    """Write safetensors weights, configuration, generation configuration, code and tokenizer.

    `state_dict` holds the weights where the model itself does not, because it is shared among processes.

    Weights that several modules share are stored once. A model that does not come from transformers brings its Python
    files along, so that `trust_remote_code=True` loads it where its package is not installed.
    """
    if not type(model).__module__.startswith("transformers."):
        _bring_code(model)
    if tokenizer is not None:
        _name_special_tokens(model, tokenizer)
        tokenizer.save_pretrained(folder)
    with _no_progress_bars():
        model.save_pretrained(folder, state_dict=state_dict)
    record_code(folder.glob("*.py"))  # it runs in this process already


def publish_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    *,
    state_dict: dict[str, Tensor] | None = None,
) -> None:
    """`save_model` into a folder that holds other things too.

    Each file is replaced whole. Weight files of an earlier model go; nothing else is touched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".model-") as unfinished:
        save_model(model, tokenizer, Path(unfinished), state_dict=state_dict)
        names = {path.name for path in Path(unfinished).iterdir()}
        for name in sorted(names):
            flush(Path(unfinished, name))
            Path(unfinished, name).replace(folder / name)
    for stale in folder.glob("model*.safetensors*"):
        if stale.name not in names:
            stale.unlink()
    flush(folder)


def _bring_code(model: PreTrainedModel) -> None:
    """Let `save_pretrained` copy the model's files and name its classes in the configuration's `auto_map`.

    vLLM's transformers backend asks for AutoModel also where only a causal model is wanted.
    """
    type(model.config).register_for_auto_class()  # type: ignore[no-untyped-call]
    type(model).register_for_auto_class("AutoModelForCausalLM")  # type: ignore[no-untyped-call]
    base = type(model.base_model)
    reference = f"{base.__module__.rpartition('.')[2]}.{base.__name__}"
    model.config.auto_map = {**(getattr(model.config, "auto_map", None) or {}), "AutoModel": reference}


def _name_special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Where text begins and ends is the tokenizer's to say; generation stops at its eos."""
    for name in _TOKEN_IDS:
        token_id = getattr(tokenizer, name)
        setattr(model.config, name, token_id)
        if model.generation_config is not None:
            setattr(model.generation_config, name, token_id)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers' bars out of the training's own output."""
    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
