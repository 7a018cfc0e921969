"""Losses for pairs of answers: DPO, with a reference model, and ORPO and SimPO, without.

A batch has the rows of `DataCollatorForPreference`: all preferred answers, then all others. A step is the mean over its
pairs, whatever their lengths; log-probabilities are sums over an answer's own tokens, in float32.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.finetune import adapter_state, has_adapter, without_adapter
from fgc_runtime.models.modes import evaluating
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.inputs import without_cache
from fgc_runtime.trainers.losses.training_loss import Terms, TrainingLoss, model_terms


class Answers(NamedTuple):
    """Log-probabilities of B pairs of answers (B), and their numbers of tokens (B)."""

    chosen: Tensor
    rejected: Tensor
    num_chosen: Tensor
    num_rejected: Tensor

    @property
    def chosen_mean(self) -> Tensor:
        """Returns the log-probability per token of the better answers (B)."""
        return self.chosen / self.num_chosen.clamp(min=1)

    @property
    def rejected_mean(self) -> Tensor:
        """Returns the log-probability per token of the other answers (B)."""
        return self.rejected / self.num_rejected.clamp(min=1)


class PreferenceLoss(TrainingLoss):
    """Sums over pairs; logs `reward_margin` and `reward_accuracy` beside the loss, which they do not change."""

    weights: Mapping[str, float] = {"reward_margin": 0.0, "reward_accuracy": 0.0}
    unit = "pairs"

    def prepare(self, model: PreTrainedModel, args: TrainingArguments) -> None:
        """Raises ValueError for a router whose balance would not be trained."""
        if model_terms(model):
            raise ValueError(
                f"{type(self).__name__} does not train the balance of a router: set output_router_logits to false"
            )
        self._options: Mapping[str, Any] = without_cache(model)

    def __call__(self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor) -> Terms:
        """Returns the loss of all pairs of a batch of 2 B rows."""
        losses, rewards = self.losses(model, inputs, labels_BT)
        margins = (rewards[0] - rewards[1]).detach()
        are_pairs = _are_pairs(labels_BT)
        others = {"reward_margin": margins, "reward_accuracy": (margins > 0).float()}
        return Terms(_sum(losses, are_pairs), {name: _sum(value, are_pairs) for name, value in others.items()})

    @abstractmethod
    def losses(
        self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns the loss of each pair (B), and the rewards of both answers (B), which are only logged."""


class DPOLoss(PreferenceLoss):
    """-log s(b h), h the policy's log-ratio of the two answers minus the reference's (Rafailov et al. 2023, eq. 7).

    s is the logistic function, b `beta`. `label_smoothing` e is the chance that a pair is the wrong way round:
    -(1 - e) log s(b h) - e log s(-b h) (Mitchell 2023, cDPO). Both arXiv:2305.18290 and its note.

    The reference is the model as the training begins, also in a run that is resumed: the base below a new adapter,
    else a frozen copy. `reference` gives another one, a model or a function that makes one.
    """

    def __init__(
        self,
        *,
        beta: float = 0.1,
        label_smoothing: float = 0.0,
        reference: PreTrainedModel | Callable[[], PreTrainedModel] | None = None,
    ) -> None:
        if not beta > 0:
            raise ValueError(f"beta ({beta}) must be above 0")
        if not 0 <= label_smoothing < 0.5:
            raise ValueError(f"label_smoothing ({label_smoothing}) must be at least 0 and below 0.5")
        self.beta = beta
        self.label_smoothing = label_smoothing
        self._given = reference
        self._reference: Reference | None = None

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns beta and the smoothing."""
        return {"class": "DPOLoss", "beta": self.beta, "label_smoothing": self.label_smoothing}

    def prepare(self, model: PreTrainedModel, args: TrainingArguments) -> None:
        """Keeps the reference."""
        super().prepare(model, args)
        given = self._given
        made = given if given is None or isinstance(given, PreTrainedModel) else given()
        self._reference = Reference(model, made)

    def losses(
        self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns the losses; rewards are b times the log-ratios to the reference."""
        assert self._reference is not None, "prepare comes first"
        with torch.no_grad(), self._reference.of(model) as reference:  # first, because it may exchange weights
            before = answers(reference(**{**inputs, **self._options}).logits, labels_BT)
        now = answers(model(**{**inputs, **self._options}).logits, labels_BT)
        rewards = (self.beta * (now.chosen - before.chosen), self.beta * (now.rejected - before.rejected))
        margin = rewards[0] - rewards[1]
        smoothing = self.label_smoothing
        return -(1 - smoothing) * functional.logsigmoid(margin) - smoothing * functional.logsigmoid(-margin), rewards


class ORPOLoss(PreferenceLoss):
    """NLL of the better answer plus b times -log s of the log odds ratio (Hong et al. 2024, arXiv:2403.07691, eq. 6).

    odds(y) = p / (1 - p) with p the answer's probability per token, the geometric mean; the NLL is the mean over the
    answer's tokens. b is `beta`, the paper's lambda. Rewards are b times the mean log-probabilities.
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        if not beta > 0:
            raise ValueError(f"beta ({beta}) must be above 0")
        self.beta = beta

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns beta."""
        return {"class": "ORPOLoss", "beta": self.beta}

    def losses(
        self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns the sum of NLL and odds ratio term for each pair."""
        now = answers(model(**{**inputs, **self._options}).logits, labels_BT)
        chosen, rejected = now.chosen_mean, now.rejected_mean
        log_odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
        loss = -chosen - self.beta * functional.logsigmoid(log_odds)
        return loss, (self.beta * chosen, self.beta * rejected)


class SimPOLoss(PreferenceLoss):
    """-log s(b (m_w - m_l) - g), m the mean log-probability of an answer (Meng et al. 2024, arXiv:2405.14734, eq. 6).

    b is `beta`, g `gamma`, the margin that is aimed at. Rewards are b times the means.
    """

    def __init__(self, *, beta: float = 2.0, gamma: float = 1.0) -> None:
        if not beta > 0:
            raise ValueError(f"beta ({beta}) must be above 0")
        if gamma < 0:
            raise ValueError(f"gamma ({gamma}) must be at least 0")
        self.beta = beta
        self.gamma = gamma

    @property
    def settings(self) -> Mapping[str, object]:
        """Returns beta and gamma."""
        return {"class": "SimPOLoss", "beta": self.beta, "gamma": self.gamma}

    def losses(
        self, model: nn.Module, inputs: Mapping[str, Any], labels_BT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns each pair's loss."""
        now = answers(model(**{**inputs, **self._options}).logits, labels_BT)
        rewards = (self.beta * now.chosen_mean, self.beta * now.rejected_mean)
        return -functional.logsigmoid(rewards[0] - rewards[1] - self.gamma), rewards


class Reference:
    """The reference model of a policy: another model, the base below an adapter, or the initial weights."""

    def __init__(self, model: PreTrainedModel, given: PreTrainedModel | None) -> None:
        self._start: dict[str, Tensor] = {}
        self._other = given
        if given is not None:
            own, theirs = int(model.config.vocab_size), int(given.config.vocab_size)
            if own != theirs:
                raise ValueError(f"reference has a vocabulary of {theirs}, the model of {own}: they must be the same")
        elif not has_adapter(model):
            self._other = copy.deepcopy(model)
        elif not _is_new(model):
            self._start = {name: weight.detach().clone() for name, weight in adapter_state(model).items()}
        if self._other is not None:
            self._other.requires_grad_(False).train(False)
            if not getattr(self._other, "is_quantized", False):
                nn.Module.to(self._other, next(model.parameters()).device)

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[nn.Module]:
        """Provides the reference in the body, without dropout."""
        if self._other is not None:
            yield self._other
            return
        with evaluating(model), _in_place(model, self._start) if self._start else without_adapter(model):
            yield model


def _is_new(model: nn.Module) -> bool:
    """Returns True if an adapter has no effect yet: the second matrices of LoRA begin as zeros."""
    trained = adapter_state(model)
    second = [weight for name, weight in trained.items() if ".lora_B." in name or ".lora_embedding_A" in name]
    others = [name for name in trained if "lora_" not in name]
    return bool(second) and not others and not any(bool(weight.any()) for weight in second)


@contextmanager
def _in_place(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    own = dict(model.named_parameters())
    now = {name: own[name].detach().clone() for name in weights}
    with torch.no_grad():
        for name, weight in weights.items():
            own[name].copy_(weight)
        try:
            yield
        finally:
            for name, weight in now.items():
                own[name].copy_(weight)


def answers(logits_BTV: Tensor, labels_BT: Tensor) -> Answers:
    """Returns the log-probabilities of the labels of 2 B rows, summed over each row, and their counts."""
    labels = labels_BT[:, 1:]
    losses = functional.cross_entropy(
        logits_BTV[:, :-1].flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    sums = -losses.view(labels.shape).sum(dim=1)
    counts = (labels != IGNORED_LABEL).sum(dim=1)
    half = len(sums) // 2
    return Answers(sums[:half], sums[half:], counts[:half], counts[half:])


def _are_pairs(labels_BT: Tensor) -> Tensor:
    """Returns True for each of the B pairs with labels in both rows; the others are padding of a short step."""
    has_label = (labels_BT[:, 1:] != IGNORED_LABEL).any(dim=1)
    half = len(has_label) // 2
    return has_label[:half] & has_label[half:]


def _sum(values: Tensor, are_pairs: Tensor) -> Tensor:
    return torch.where(are_pairs, values, values * 0).sum()


def _log1mexp(log_p: Tensor) -> Tensor:
    """Returns log(1 - exp(x)) for x below 0, accurate near 0 and far from it (Maechler 2012)."""
    x = log_p.clamp(max=-1e-7)  # a certain answer would have infinite odds
    return torch.where(x > -0.693, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))
