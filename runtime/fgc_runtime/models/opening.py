"""A model's folder to its configuration and its model on the meta device: shapes without weights.

A folder is that of a model (with `config.json`), or a generated package that was never saved (with
`configuration_*.py` and `modeling_*.py` only). Opening one runs the Python files in it, where that is allowed.
"""

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from fgc_runtime.models.folder import ModelError
from fgc_runtime.trust import UntrustedCode, checked_folder, read_code


def open_on_meta(
    folder: Path, changes: Mapping[str, Any] | None = None, *, trust_remote_code: bool | None = None
) -> PreTrainedModel:
    """The causal language model of a folder without weights, with some configuration fields changed.

    Raises ModelError for a folder that holds no model, an unknown field, and code of the model that fails or may not
    run (`fgc_runtime.trust`).
    """
    try:
        checked = checked_folder(folder, is_told=trust_remote_code)
        if not (checked.path / "config.json").is_file():
            if not checked.is_trusted:
                raise ModelError(f"{folder} holds nothing but code, which may not run")
            config_class, model_class = package_classes(checked.path)
            return on_meta(model_class, _configured(config_class, {}, changes or {}))
        config = AutoConfig.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
        if changes:
            written = json.loads((checked.path / "config.json").read_text(encoding="utf-8"))
            config = _configured(type(config), written, changes)
        return on_meta(AutoModelForCausalLM.from_config, config, trust_remote_code=checked.is_trusted)
    except ModelError:
        raise
    except UntrustedCode as error:
        raise ModelError(str(error)) from None
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
    """The configuration and the causal language model of a generated package; its code runs.

    A copy of the package is imported, with nothing beside it: neither caches of compiled code nor modules of the folder
    around it count.
    """
    names = [path.stem.removeprefix("configuration_") for path in folder.glob("configuration_*.py")]
    if len(names) != 1 or not (folder / f"modeling_{names[0]}.py").is_file():
        raise ModelError(f"{folder} is no generated model package: it has no configuration_*.py with its modeling_*.py")
    try:
        package = _imported(_copy(folder.resolve()))
    except Exception as error:  # anything: model code is foreign code
        raise ModelError(f"{folder} cannot be imported: {type(error).__name__}: {error}") from error
    exported = [getattr(package, name) for name in getattr(package, "__all__", ())]
    config = next(item for item in exported if issubclass(item, PreTrainedConfig))
    model = next(item for item in exported if item.__name__.endswith("ForCausalLM"))
    return config, model


def _copy(folder: Path) -> Path:
    """The package's code alone, in a folder that lives as long as this process: Python reads lines of it later."""
    parent = Path(tempfile.mkdtemp(prefix="fgc-package-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    copy = parent / folder.name
    copy.mkdir()
    for name, content in read_code(folder).items():
        (copy / name).write_bytes(content)
    return copy


def _imported(package: Path) -> ModuleType:
    """The package as a module, in the place of another of the same name; no folder becomes importable for it."""
    name = package.name
    for known in [item for item in sys.modules if item == name or item.startswith(f"{name}.")]:
        del sys.modules[known]
    places = [str(package)]
    spec = spec_from_file_location(name, package / "__init__.py", submodule_search_locations=places)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


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
