"""Writes weights of several processes to safetensors files, with at most one layer in the main process's memory.

Transformers' own functions decide the files of a model, called with tensors that have shapes and no contents. Then
each layer is gathered, converted to the tensors of the file, and written.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

from fgc_runtime.models.shards import ShardWriter, Wanted

_MAX_SHARD_BYTES = 50 * 10**9  # as `save_pretrained` has it

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class WeightParts:
    """The weights of a model of which each process holds a part.

    `shapes` are all of them by canonical names, on the meta device. `gather` is called on all processes together: it
    returns a complete weight in the CPU's memory of the main process, and None on the others.
    """

    shapes: State
    gather: Callable[[str], Tensor | None]

    def complete(self) -> State | None:
        """Returns all weights on the main process, None on the others. Called on all processes together."""
        whole = {name: self.gather(name) for name in self.shapes}
        return {name: weight for name, weight in whole.items() if weight is not None} or None

    def give(self, model: PreTrainedModel) -> None:
        """Sends this process's weights during the main process's `write`."""
        for names in _groups(_kept(model, self.shapes)):
            for name in names:
                self.gather(name)

    def write(self, model: PreTrainedModel, folder: Path) -> None:
        """Writes the files of `save_pretrained`, while the other processes call `give`."""
        kept = _kept(model, self.shapes)
        groups = _groups(kept)
        plans = [revert_weight_conversion(model, {name: kept[name] for name in names}) for names in groups]
        wanted = [Wanted(name, tuple(weight.shape), weight.dtype) for plan in plans for name, weight in plan.items()]
        with ShardWriter(folder, wanted, _MAX_SHARD_BYTES) as writer:
            for names, plan in zip(groups, plans, strict=True):
                gathered = {name: weight for name in names if (weight := self.gather(name)) is not None}
                weights = revert_weight_conversion(model, gathered)
                for name in plan:
                    writer.write(name, weights[name])


def _kept(model: PreTrainedModel, shapes: State) -> State:
    """Returns the weights to store: of tied weights, only the one that loading expects."""
    ignored = model._keys_to_ignore_on_save or ()
    stored = {name: weight for name, weight in shapes.items() if name not in ignored}
    kept: State = remove_tied_weights_from_state_dict(stored, model)
    return kept


def _groups(names: Iterable[str]) -> list[list[str]]:
    """Returns the names by layer, because conversions merge and split weights only within a layer."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+\.", name)
        groups.setdefault(layer[0] if layer else name, []).append(name)
    return list(groups.values())
