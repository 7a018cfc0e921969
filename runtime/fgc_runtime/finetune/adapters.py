"""Adapters of PEFT in a model that stays one of transformers: added, loaded, checked, written.

PEFT is loaded only where an adapter is: it is an extra (`pip install 'fgc[peft]'`).
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from fgc_runtime.finetune.identity import base_folder, weights_hash
from fgc_runtime.packages import require_extra
from fgc_runtime.patterns import nearest

if TYPE_CHECKING:
    from peft import PeftConfig

CONFIG, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base_model.json"
_NAME = "default"  # of the only adapter
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "eva")  # eva needs data before training
_MAX_LISTED = 20


class AdapterMismatch(ValueError):
    """An adapter that does not belong to a model; the message says how they differ."""


def has_adapter(model: nn.Module) -> bool:
    """Returns True if a model of transformers has adapters of PEFT in it."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


def add_adapter(model: PreTrainedModel, config: "PeftConfig") -> None:
    """Freezes the model and adds a new adapter, in float32 beside weights in half precision.

    Without `target_modules`, and without a default of PEFT's for this type of model, all linear layers but the head get
    one. Raises ValueError for names of modules that the model does not have, for a start that would change the base,
    and for a base without a place of its own.
    """
    require_extra("peft", "adapter", extra="peft")
    _require_place(model)
    _require_unchanged_base(config)
    _choose_targets(model, config)
    for argument in ("target_modules", "modules_to_save"):
        _require_modules(model, argument, getattr(config, argument, None))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with _quiet():
        model.add_adapter(config, _NAME)
    _settle(model)


def continue_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Adds the adapter of a folder, to be trained further. Raises AdapterMismatch if it is one of another base."""
    require_extra("peft", "adapter", extra="peft")
    _require_place(model)
    require_base(folder, model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with _quiet():
        model.load_adapter(str(folder), adapter_name=_NAME, is_trainable=True)
    _settle(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back that PEFT calls what transformers deprecates: nobody here can change it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _settle(model: PreTrainedModel) -> None:
    """Half-precision adapters would lose small steps; PEFT computes in their dtype and gives back the layer's."""
    from peft.tuners.tuners_utils import cast_adapter_dtype

    cast_adapter_dtype(model, _NAME)


def _require_place(model: PreTrainedModel) -> None:
    if not model.name_or_path or base_folder(model.name_or_path) is None:
        raise ValueError(
            "adapter needs a base that lies in a folder or on the hub, and this model was made in the program: save it "
            "first, and load it from there"
        )


def _require_unchanged_base(config: "PeftConfig") -> None:
    start = getattr(config, "init_lora_weights", True)
    if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
        raise ValueError(
            f"init_lora_weights ({start!r}) changes the base's weights, so the adapter would not fit the base that "
            "others load: use true, gaussian or orthogonal"
        )


def _choose_targets(model: PreTrainedModel, config: Any) -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    model.config.to_dict()  # a package adds itself to PEFT's tables
    has_own = getattr(config, "target_parameters", None) or not hasattr(config, "target_modules")
    if not has_own and config.target_modules is None and model.config.model_type not in KNOWN:
        config.target_modules = "all-linear"


def _require_modules(model: nn.Module, argument: str, wanted: Any) -> None:
    """Raises ValueError for a name that no module ends with. PEFT itself is content if one of several is there."""
    if wanted is None or isinstance(
        wanted, str
    ):  # a regular expression, or all-linear: PEFT refuses what finds nothing
        return
    names = [name for name, _ in model.named_modules() if name]
    for item in sorted(wanted):
        if not any(name == item or name.endswith(f".{item}") for name in names):
            raise ValueError(f"{argument}: the model has no module {item!r}; {nearest(item, names)}")


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights that are trained, by name: all that a checkpoint of an adapter has to keep."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


@contextmanager
def without_adapter(model: nn.Module) -> Iterator[None]:
    """In the body the model computes what its base does.

    transformers' own switch leaves copies of whole modules (`modules_to_save`) off for good.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import AuxiliaryTrainingWrapper

    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper)]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter in trained:  # PEFT's switch freezes them
            parameter.requires_grad_(True)


def write_adapter(model: PreTrainedModel, folder: Path, state: Mapping[str, Tensor]) -> None:
    """Writes the files that `PeftModel.from_pretrained` loads, and what the adapter's base is."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    own: Any = model
    config = own.peft_config[_NAME]
    found = get_peft_model_state_dict(model, state_dict=dict(state), adapter_name=_NAME, save_embedding_layers=False)
    tensors = {f"base_model.model.{name}": weight.detach().cpu().contiguous() for name, weight in found.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    was_training, config.inference_mode = config.inference_mode, True
    config.task_type = config.task_type or "CAUSAL_LM"
    config.save_pretrained(str(folder))
    config.inference_mode = was_training
    (folder / BASE).write_text(json.dumps(_base(model, config), indent=1) + "\n", encoding="utf-8")


def _base(model: PreTrainedModel, config: "PeftConfig") -> dict[str, object]:
    place = str(config.base_model_name_or_path)
    folder = base_folder(place, config.revision)
    return {
        "name_or_path": place,
        "model_type": model.config.model_type,
        "weights": weights_hash(folder) if folder is not None else None,
    }


def require_base(folder: Path, model: PreTrainedModel) -> None:
    """Raises AdapterMismatch unless an adapter's folder is one of this model.

    Compares the weights that the adapter was trained on with the model's, where both are known, and the shapes of all
    its matrices. Raises FileNotFoundError if the folder holds no adapter.
    """
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"adapter: {folder} holds no {CONFIG}")
    if _read(folder / CONFIG).get("megatron_config"):  # PEFT would import the module that `megatron_core` names
        raise AdapterMismatch(f"adapter: {folder} was made for Megatron's layers, which no model has here")
    if problems := shape_problems(folder, model):
        listed = "".join(f"\n  {problem}" for problem in problems[:_MAX_LISTED])
        more = f"\n  and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        raise AdapterMismatch(f"adapter: {folder} does not fit {model.name_or_path}:{listed}{more}")
    own = base_folder(model.name_or_path or "")
    if own is not None:
        require_weights(folder, own, model.name_or_path)


def require_weights(folder: Path, base: Path, name: str | None = None) -> None:
    """Raises AdapterMismatch if an adapter says that it was trained on other weights than those in a base's folder.

    Reads no more than the beginning of each tensor. `name` is what people call the base, if it is not its folder.
    """
    known = _read(folder / BASE)
    own = weights_hash(base) if known.get("weights") else None
    if own is not None and own != known["weights"]:
        raise AdapterMismatch(
            f"adapter: {folder} was trained on {known.get('name_or_path')}, and {name or base} has other weights: "
            f"with them the adapter computes something else. If they are meant, remove {folder / BASE}"
        )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise AdapterMismatch(f"{path} is damaged: {error}") from error
    return found if isinstance(found, dict) else {}


def shape_problems(folder: Path, model: nn.Module) -> list[str]:
    """Returns what of an adapter's matrices has no place in a model, line by line."""
    from safetensors import SafetensorError, safe_open

    modules = dict(model.named_modules())
    problems = []
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise AdapterMismatch(f"adapter: {folder / WEIGHTS} cannot be read: {error}") from error
    for name, shape in shapes.items():
        path = name.removeprefix("base_model.model.")
        for side in (".lora_A.", ".lora_B.", ".lora_embedding_A", ".lora_embedding_B"):
            if side in path:
                problems += _problem(path.partition(side)[0], side, shape, modules)
    return list(dict.fromkeys(problems))


def _problem(path: str, side: str, shape: Sequence[int], modules: Mapping[str, nn.Module]) -> list[str]:
    """Linear layers have A (r, in) and B (out, r)."""
    layer = modules.get(path)
    if layer is None:
        return [f"{path}: the model has no such module"]
    if side not in (".lora_A.", ".lora_B.") or not isinstance(layer, nn.Linear):
        return []
    what, wanted, found = (
        ("inputs", layer.in_features, shape[1]) if side == ".lora_A." else ("outputs", layer.out_features, shape[0])
    )
    return [] if wanted == found else [f"{path}: the model has {wanted} {what}, the adapter {found}"]
