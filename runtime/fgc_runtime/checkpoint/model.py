"""Saves a model and its tokenizer to a folder for `from_pretrained`, with the model's own code if it has any."""

import ast
import functools
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from fgc_runtime.checkpoint.folders import flush
from fgc_runtime.checkpoint.parts import WeightParts
from fgc_runtime.finetune import has_adapter, write_adapter
from fgc_runtime.full_disk import room_errors
from fgc_runtime.sources import read_source
from fgc_runtime.trust import record_code

# files of an earlier save that would be loaded with this one: an adapter, or a whole model
_OF_A_MODEL = (
    *("model*.safetensors*", "config.json", "generation_config.json"),
    *("adapter_model.safetensors", "adapter_config.json", "base_model.json"),
)
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    *,
    state_dict: dict[str, Tensor] | WeightParts | None = None,
) -> None:
    """Writes safetensors weights, configuration, generation configuration, code and tokenizer.

    `state_dict` has the weights if the model itself does not, because processes share it. If it is `WeightParts`, the
    other processes must call `give` at the same time.

    Weights that several modules share are stored once. For a model that is not from transformers, its Python files are
    added, as they were when the program started, so that `trust_remote_code=True` loads it without its package. For a
    model with an adapter, only the adapter is written.
    """
    if has_adapter(model):
        assert not isinstance(state_dict, WeightParts), "an adapter lies whole on each process"
        _save_adapter(model, tokenizer, folder, state_dict)
        return
    code = code_of(model)
    if code:
        _name_classes(model)
    if tokenizer is not None:
        _name_special_tokens(model, tokenizer)
        tokenizer.save_pretrained(folder)
    with _no_progress_bars():
        model.save_pretrained(folder, state_dict={} if isinstance(state_dict, WeightParts) else state_dict)
    if isinstance(state_dict, WeightParts):
        state_dict.write(model, folder)
    for name, content in code.items():
        (folder / name).write_bytes(content)
    record_code(folder / name for name in code)  # it runs in this process already


def _save_adapter(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    state_dict: Mapping[str, Tensor] | None,
) -> None:
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    write_adapter(model, folder, model.state_dict() if state_dict is None else state_dict)


def publish_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    *,
    state_dict: dict[str, Tensor] | WeightParts | None = None,
) -> list[str]:
    """Calls `save_model` for a folder with other contents; returns the names of the files.

    Each file is replaced atomically. Weight files of an earlier model are removed, and nothing else is touched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with room_errors(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".model-") as unfinished:
        save_model(model, tokenizer, Path(unfinished), state_dict=state_dict)
        names = {path.name for path in Path(unfinished).iterdir()}
        for name in sorted(names):
            flush(Path(unfinished, name))
            Path(unfinished, name).replace(folder / name)
    for pattern in _OF_A_MODEL:
        for stale in folder.glob(pattern):
            if stale.name not in names:
                stale.unlink()
    flush(folder)
    return sorted(names)


def keep_model(folder: Path, names: Iterable[str], kept: Path) -> None:
    """Links these files of `folder` into `kept`, so that their contents survive a replacement."""
    kept.mkdir(parents=True, exist_ok=True)
    for name in names:
        (kept / name).unlink(missing_ok=True)
        try:
            (kept / name).hardlink_to(folder / name)
        except OSError:  # a file system without links
            shutil.copyfile(folder / name, kept / name)


def code_of(model: PreTrainedModel) -> Mapping[str, bytes]:
    """Returns the Python files of a model that is not from transformers, and those they import from their package.

    Read once for each class, before training, so that the saved code is the code that ran, even if the files change.
    Empty for a class that is defined in the program itself.
    """
    return _code_of_classes(_own_classes(model))


@functools.lru_cache(maxsize=64)
def _code_of_classes(classes: tuple[type, ...]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    paths = [Path(str(getattr(sys.modules[item.__module__], "__file__", ""))) for item in classes]
    while paths:
        path = paths.pop()
        content = None if path.name in found else read_source(path)
        if content is not None:
            found[path.name] = content
            paths += [path.with_name(f"{name}.py") for name in _imported_beside(content)]
    return found


def _imported_beside(content: bytes) -> Iterator[str]:
    """Yields the modules that a file imports from its own folder."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [alias.name for alias in node.names] if node.module is None else [node.module.split(".")[0]]


def _own_classes(model: PreTrainedModel) -> tuple[type, ...]:
    classes = (type(model.config), type(model.base_model), type(model))
    return tuple(item for item in classes if item.__module__.split(".")[0] not in ("transformers", "__main__"))


def _name_classes(model: PreTrainedModel) -> None:
    """Adds the model's classes to the configuration's `auto_map`.

    vLLM's transformers backend needs AutoModel even for a causal model.
    """
    roles = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")
    classes = zip(roles, (type(model.config), type(model.base_model), type(model)), strict=True)
    own = {role: item for role, item in classes if item in _own_classes(model)}
    named = {role: f"{item.__module__.rpartition('.')[2]}.{item.__name__}" for role, item in own.items()}
    model.config.auto_map = {**(getattr(model.config, "auto_map", None) or {}), **named}


def _name_special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Sets bos, eos and pad ids from the tokenizer; generation stops at its eos."""
    for name in _TOKEN_IDS:
        token_id = getattr(tokenizer, name)
        setattr(model.config, name, token_id)
        if model.generation_config is not None:
            setattr(model.generation_config, name, _with_other_ends(model.generation_config, name, token_id))


def _with_other_ends(config: GenerationConfig, name: str, token_id: int | None) -> int | list[int] | None:
    """Returns the token with the other end tokens of a model, such as those of Llama 3 beside its end of a turn."""
    known = getattr(config, name)
    if name != "eos_token_id" or not isinstance(known, list) or token_id is None:
        return token_id
    return [token_id, *(other for other in known if other != token_id)]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Disables transformers' progress bars in the body."""
    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
