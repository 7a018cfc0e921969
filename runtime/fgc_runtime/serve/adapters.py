"""Adds a PEFT adapter to a served model; both models share the weights that are not adapted."""

import copy
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel

from fgc_runtime.models.finding import FolderError


def adapted(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Returns a copy of the model with the adapter's layers; tensors of the model are shared, not copied.

    Raises FolderError if peft is missing, or the adapter was made for another model.
    """
    try:
        from peft import PeftConfig, inject_adapter_in_model, load_peft_weights
        from peft import get_peft_model_state_dict as adapter_weights
        from peft import set_peft_model_state_dict as set_adapter_weights
    except ImportError:
        raise FolderError("Adapters need peft: pip install 'fgc[peft]'.") from None
    try:
        config = PeftConfig.from_pretrained(str(folder))
        if getattr(config, "megatron_config", None):
            raise FolderError(f"{folder} was made for Megatron's layers, which no model has here.")
        other = sharing_copy(model)
        inject_adapter_in_model(config, other)
        read = {key.removeprefix("base_model.model."): x for key, x in load_peft_weights(str(folder), "cpu").items()}
        expected = adapter_weights(other)
        if unfit := sorted(expected.keys() ^ read.keys()):
            raise FolderError(_unfit(folder, unfit, is_lacking=unfit[0] in expected))
        set_adapter_weights(other, read)
    except FolderError:
        raise
    except Exception as error:  # peft raises many: another architecture, other sizes, a broken file
        raise FolderError(f"{folder} does not fit the model: {str(error).splitlines()[0][:300]}") from error
    nn.Module.to(other, model.device)
    return other


def _unfit(folder: Path, names: list[str], *, is_lacking: bool) -> str:
    """Returns the message for unmatched weights, which PEFT ignores silently, so that the adapter has no effect."""
    what = (
        "lacks weights that the model has places for" if is_lacking else "has weights that the model has no place for"
    )
    return f"{folder} does not fit the model: it {what}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"


def sharing_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Returns a copy of the modules of a model with the same tensors."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
