"""A model's folder to its configuration and its model on the meta device: shapes without weights.

A folder is that of a model (with `config.json`), or a generated package that was never saved (with
`configuration_*.py` and `modeling_*.py` only). Opening one runs the Python files in it.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from fgc_runtime.models.folder import ModelError


def open_on_meta(
    folder: Path, changes: Mapping[str, Any] | None = None, *, trust_remote_code: bool = True
) -> PreTrainedModel:
    """The causal language model of a folder without weights, with some configuration fields changed.

    Raises ModelError for a folder that holds no model, an unknown field, and code of the model that fails.
    """
    try:
        if not (folder / "config.json").is_file():
            config_class, model_class = package_classes(folder)
            return on_meta(model_class, _configured(config_class, {}, changes or {}))
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        if changes:
            written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            config = _configured(type(config), written, changes)
        return on_meta(AutoModelForCausalLM.from_config, config, trust_remote_code=trust_remote_code)
    except ModelError:
        raise
    except Exception as error:  # anything: model code is foreign code
        raise ModelError(f"{folder} cannot be opened: {type(error).__name__}: {error}") from error


def on_meta(construct: Callable[..., PreTrainedModel], config: PreTrainedConfig, **options: Any) -> PreTrainedModel:
    """A model without weights, with the ties between its parameters. Raises ModelError for sizes that do not fit."""
    try:
        with torch.device("meta"), no_init_weights():
            model = construct(config, **options)
        model.tie_weights()
    except Exception as error:  # anything: model code is foreign code
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"no model can be made of this {type(config).__name__}: {reason}") from error
    return model


def package_classes(folder: Path) -> tuple[type[PreTrainedConfig], type[PreTrainedModel]]:
    """The configuration and the causal language model of a generated package, imported from its folder."""
    names = [path.stem.removeprefix("configuration_") for path in folder.glob("configuration_*.py")]
    if len(names) != 1 or not (folder / f"modeling_{names[0]}.py").is_file():
        raise ModelError(f"{folder} is no generated model package: it has no configuration_*.py with its modeling_*.py")
    _forget(folder.resolve())
    sys.path.insert(0, str(folder.resolve().parent))
    try:
        package = importlib.import_module(folder.resolve().name)
    except Exception as error:  # anything: model code is foreign code
        raise ModelError(f"{folder} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        del sys.path[0]
    exported = [getattr(package, name) for name in getattr(package, "__all__", ())]
    config = next(item for item in exported if issubclass(item, PreTrainedConfig))
    model = next(item for item in exported if item.__name__.endswith("ForCausalLM"))
    return config, model


def _forget(folder: Path) -> None:
    """Let another package of the same name be imported."""
    known = sys.modules.get(folder.name)
    if known is not None and list(getattr(known, "__path__", ())) != [str(folder)]:
        for name in [item for item in sys.modules if item == folder.name or item.startswith(f"{folder.name}.")]:
            del sys.modules[name]


def _configured(
    config_class: type[PreTrainedConfig], written: Mapping[str, Any], changes: Mapping[str, Any]
) -> PreTrainedConfig:
    """A configuration made anew with other fields, so that what follows from them follows."""
    config = config_class.from_dict(dict(written))
    unknown = [name for name in changes if not hasattr(config, name)]
    if unknown:
        known = ", ".join(sorted(name for name in config.to_dict() if not name.startswith("_")))
        raise ModelError(f"{config_class.__name__} has no field `{unknown[0]}`; its fields: {known}")
    return config_class.from_dict({**written, **changes})
