"""Distillation: the loss of a student on the data's labels and on a teacher's logits."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.inputs import takes, without_cache
from fgc_runtime.trainers.losses.loss import next_token_loss_sum
from fgc_runtime.trainers.losses.training_loss import Terms, TrainingLoss

_TERM = "distillation_loss"


class DistillationLoss(TrainingLoss):
    """Minimises (1 - w) CE + w T^2 KL(teacher || student), both at temperature T, over the label tokens.

    Hinton et al. 2015, arXiv:1503.02531, section 2: T^2 keeps the weight of the second term the same at any T. In logs
    `loss` is the cross entropy CE, `distillation_loss` the divergence with its T^2. `teacher` is a model, or a function
    that makes one; it lies whole on each process, is never trained, and has the student's vocabulary.
    """

    moves_labels = True

    def __init__(
        self,
        teacher: PreTrainedModel | Callable[[], PreTrainedModel],
        *,
        weight: float = 0.5,
        temperature: float = 1.0,
    ) -> None:
        if not 0 < weight <= 1:
            raise ValueError(f"weight ({weight}) must be above 0 and at most 1")
        if not temperature > 0:
            raise ValueError(f"temperature ({temperature}) must be above 0")
        self.weights = {_TERM: weight}
        self.own_weight = 1 - weight
        self.temperature = temperature
        self._made = teacher
        self._teacher: PreTrainedModel | None = None
        self._options: Mapping[str, bool] = {}

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns the weight, the temperature and the teacher's shape."""
        config = self._teacher.config.to_dict() if self._teacher is not None else {}
        shape = {name: config.get(name) for name in ("model_type", "hidden_size", "num_hidden_layers")}
        return {**super().settings, "temperature": self.temperature, **{f"teacher.{key}": shape[key] for key in shape}}

    def prepare(self, model: PreTrainedModel, args: TrainingArguments) -> None:
        """Moves the teacher to the model's device. Raises ValueError if it has another vocabulary."""
        teacher = self._made if isinstance(self._made, PreTrainedModel) else self._made()
        own, theirs = int(model.config.vocab_size), int(teacher.config.vocab_size)
        if own != theirs:
            raise ValueError(f"teacher has a vocabulary of {theirs}, the model one of {own}: they must be the same")
        teacher.requires_grad_(False).train(False)
        nn.Module.to(teacher, next(model.parameters()).device)
        self._teacher, self._options = teacher, without_cache(teacher)

    def __call__(self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor) -> Terms:
        """Returns the cross entropy, and the divergence from the teacher."""
        assert self._teacher is not None, "prepare comes first"
        logits = model(**inputs).logits
        with torch.no_grad():
            theirs = self._teacher(**{**self._inputs(inputs), **self._options}).logits
        is_label = labels_BT[:, 1:] != IGNORED_LABEL
        student, teacher = (
            functional.log_softmax(given[:, :-1][is_label].float() / self.temperature, dim=-1)
            for given in (logits, theirs)
        )
        divergence = functional.kl_div(student, teacher, log_target=True, reduction="sum") * self.temperature**2
        return Terms(next_token_loss_sum(logits, labels_BT), {_TERM: divergence})

    def _inputs(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the teacher's inputs; a model of transformers recognises packed documents by their positions."""
        assert self._teacher is not None, "prepare comes first"
        if "sequence_ids" in inputs and not takes(self._teacher, "sequence_ids"):
            return {name: value for name, value in inputs.items() if name != "sequence_ids"}
        return inputs
