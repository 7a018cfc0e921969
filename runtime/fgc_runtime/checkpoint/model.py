"""A model and its tokenizer to a folder that `from_pretrained` loads, with the model's own code where it has any."""

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

# left from an earlier save, these would be loaded with this one: an adapter onto a model, or a model in its place
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
    """Write safetensors weights, configuration, generation configuration, code and tokenizer.

    `state_dict` holds the weights where the model itself does not, because it is shared among processes. The other
    processes `give` theirs meanwhile, where it is `WeightParts`.

    Weights that several modules share are stored once. A model that does not come from transformers brings its Python
    files along, as they were when the program started, so that `trust_remote_code=True` loads it where its package is
    not installed. Of a model with an adapter, the adapter is written alone.
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
    """`save_model` into a folder that holds other things too; returns the names of the files.

    Each file is replaced whole. Weight files of an earlier model go; nothing else is touched.
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
    """Let `kept` hold these files of `folder` too, whatever takes their place there: by links to the same content."""
    kept.mkdir(parents=True, exist_ok=True)
    for name in names:
        (kept / name).unlink(missing_ok=True)
        try:
            (kept / name).hardlink_to(folder / name)
        except OSError:  # a file system without links
            shutil.copyfile(folder / name, kept / name)


def code_of(model: PreTrainedModel) -> Mapping[str, bytes]:
    """The Python files of a model that does not come from transformers, and what they import from their own package.

    Read once for each class: what runs is what is saved, whatever becomes of the files. A trainer asks before it
    trains. Empty for a class that is written in the program itself.
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
    """The modules that a file imports from its own folder."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [alias.name for alias in node.names] if node.module is None else [node.module.split(".")[0]]


def _own_classes(model: PreTrainedModel) -> tuple[type, ...]:
    classes = (type(model.config), type(model.base_model), type(model))
    return tuple(item for item in classes if item.__module__.split(".")[0] not in ("transformers", "__main__"))


def _name_classes(model: PreTrainedModel) -> None:
    """Name the model's classes in the configuration's `auto_map`.

    vLLM's transformers backend asks for AutoModel also where only a causal model is wanted.
    """
    roles = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")
    classes = zip(roles, (type(model.config), type(model.base_model), type(model)), strict=True)
    own = {role: item for role, item in classes if item in _own_classes(model)}
    named = {role: f"{item.__module__.rpartition('.')[2]}.{item.__name__}" for role, item in own.items()}
    model.config.auto_map = {**(getattr(model.config, "auto_map", None) or {}), **named}


def _name_special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Takes from the tokenizer where text begins and ends; generation stops at its eos."""
    for name in _TOKEN_IDS:
        token_id = getattr(tokenizer, name)
        setattr(model.config, name, token_id)
        if model.generation_config is not None:
            setattr(model.generation_config, name, _with_other_ends(model.generation_config, name, token_id))


def _with_other_ends(config: GenerationConfig, name: str, token_id: int | None) -> int | list[int] | None:
    """A model that ends texts with several tokens keeps the others, as Llama 3 those beside its end of a turn."""
    known = getattr(config, name)
    if name != "eos_token_id" or not isinstance(known, list) or token_id is None:
        return token_id
    return [token_id, *(other for other in known if other != token_id)]


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
