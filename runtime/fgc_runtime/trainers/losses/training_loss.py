"""Computes the terms that training minimises, each summed over label tokens.

A step divides every sum by the label tokens of all its batches on all processes, so batch size and accumulation do not
change the weight of a term.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from transformers import PreTrainedModel

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.loss import HeadLoss, next_token_loss_sum, require_linear_head

ROUTER_LOSS = "router_aux_loss"


class Terms(NamedTuple):
    """The terms of one batch: `loss_sum`, and the others, unweighted, by their names in logs."""

    loss_sum: Tensor
    others: Mapping[str, Tensor]


class TrainingLoss(ABC):
    """The loss to minimise: `loss_sum` times `own_weight`, plus each other term times its weight.

    The trainer calls `prepare` once, and then the loss with the model, its inputs and the labels. `weights` names the
    other terms, all of which every batch returns. `fused_loss` is refused for a loss that does not support it.
    `moves_labels`: the loss compares each token's logits with the next label, so labels that are already shifted are
    refused.
    """

    weights: Mapping[str, float] = {}
    own_weight: float = 1.0
    serves_fused_loss: bool = False
    unit: Literal["tokens", "pairs"] = "tokens"  # a step's loss is the mean over these
    moves_labels: bool = False

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns the settings, by name, that must be the same in a resumed run."""
        return {"class": type(self).__qualname__, **self.weights}

    def prepare(self, model: PreTrainedModel, args: TrainingArguments) -> None:  # noqa: B027  # most need nothing
        """Checks the model before it is sharded. Raises ValueError if the loss cannot train it."""

    @abstractmethod
    def __call__(self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor) -> Terms:
        """Returns the terms of a batch of B rows of T tokens, without labels of -100."""


class NextTokenLoss(TrainingLoss):
    """Cross entropy of the next token, plus the model's own terms: the load balancing of a router.

    `label_smoothing` e mixes the true token, 1 - e, with the uniform distribution, e (Szegedy et al. 2016,
    arXiv:1512.00567, section 7); evaluations leave it out, so that their perplexity is one.
    """

    serves_fused_loss = True
    moves_labels = True

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing ({label_smoothing}) must be at least 0 and below 1")
        self.label_smoothing = label_smoothing
        self._head_loss: HeadLoss | None = None

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns the label smoothing and the weights; nothing for the plain cross entropy."""
        smoothing = {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}
        return {**smoothing, **self.weights}

    def prepare(self, model: PreTrainedModel, args: TrainingArguments) -> None:
        """Finds the terms that the model adds. Raises ValueError for a fused loss that would leave them out."""
        self.weights = model_terms(model)
        if args.fused_loss != "no":
            reason = f"fused_loss ({args.fused_loss!r})"
            require_linear_head(model, reason)
            if self.weights or self.label_smoothing:
                also = ROUTER_LOSS if self.weights else f"label_smoothing ({self.label_smoothing})"
                raise ValueError(f"{reason} must be 'no' with {also}: it computes the cross entropy alone")
            self._head_loss = HeadLoss(model, args.fused_loss, chunk_size=args.fused_loss_chunk_size)

    def __call__(self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor) -> Terms:
        """Returns the cross entropy, and `router_aux_loss` where the model has a router that is trained."""
        if self._head_loss is not None:
            base: Any = model.base_model
            return Terms(self._head_loss(base(**inputs).last_hidden_state, labels_BT), {})
        wanted = {"output_router_logits": True} if self.weights else {}
        outputs = model(**inputs, **wanted)
        smoothing = self.label_smoothing if model.training else 0.0
        loss_sum = next_token_loss_sum(outputs.logits, labels_BT, label_smoothing=smoothing)
        if not self.weights:
            return Terms(loss_sum, {})
        num_labels = (labels_BT[:, 1:] != IGNORED_LABEL).sum()  # a tensor, to avoid waiting for a GPU
        return Terms(loss_sum, {ROUTER_LOSS: outputs.aux_loss * num_labels})


def require_batches(loss: TrainingLoss, collate: object) -> None:
    """Raises ValueError unless a collator makes the batches that a loss takes: rows, or pairs of rows."""
    makes_pairs = bool(getattr(collate, "counts_pairs", False))
    if makes_pairs == (loss.unit == "pairs"):
        return
    wanted = "DataCollatorForPreference" if loss.unit == "pairs" else "DataCollatorForCausalLM"
    raise ValueError(
        f"data_collator ({type(collate).__name__}) must be a {wanted} for the loss {type(loss).__name__}, which is a "
        f"mean over {loss.unit}"
    )


def model_terms(model: PreTrainedModel) -> dict[str, float]:
    """Returns the weight of each term that a model adds to its loss, by name.

    By the convention of transformers: `aux_loss` of the output, times `config.router_aux_loss_coef`, where
    `config.output_router_logits` is true.
    """
    weight = float(getattr(model.config, "router_aux_loss_coef", None) or 0.0)
    is_added = bool(getattr(model.config, "output_router_logits", False)) and weight != 0
    return {ROUTER_LOSS: weight} if is_added else {}
