"""Checks by calling a model, before training, that it behaves as the trainer assumes.

Each check costs one or two forward passes over a few tokens, without gradients or random numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from transformers import PreTrainedModel

from fgc_runtime.models.modes import evaluating
from fgc_runtime.trainers.deferred import answering, device_of, is_deferred
from fgc_runtime.trainers.losses.inputs import takes, without_cache
from fgc_runtime.trainers.losses.loss import HeadLoss, next_token_loss_sum, require_linear_head
from fgc_runtime.trainers.losses.training_loss import model_terms

_NUM_TOKENS = 8
_TOLERANCE = {torch.float32: 1e-3}  # relative; a missing term changes the loss by percents
_TOLERANCE_OF_HALF = 5e-2
_LEAKS = 0.1  # fraction of the change without isolation; rounding is far below


def require_known_terms(model: PreTrainedModel) -> None:
    """Raises ValueError if a model's own loss is not the cross entropy plus the terms that are known here."""
    if not _answers(model) or not takes(model, "labels"):
        return
    token_ids = _token_ids(model, _NUM_TOKENS)
    with _quiet(model):
        outputs = model(input_ids=token_ids, labels=token_ids, **without_cache(model))
    own, logits = getattr(outputs, "loss", None), getattr(outputs, "logits", None)
    if own is None or logits is None:
        return
    expected = next_token_loss_sum(logits, token_ids) / (token_ids.shape[1] - 1)
    for weight in model_terms(model).values():
        expected = expected + weight * outputs.aux_loss
    tolerance = _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALF)
    if not torch.allclose(own.float().cpu(), expected.cpu(), rtol=tolerance, atol=tolerance):
        raise ValueError(
            f"{type(model).__name__} computes a loss of {own.item():.5f} for a batch whose next-token cross entropy, "
            f"with the terms that its configuration names, is {expected.item():.5f}: it adds a term that the trainer "
            "does not know. Give the trainer a `loss` that computes it"
        )


def require_plain_head(model: PreTrainedModel, reason: str) -> None:
    """Raises ValueError if a model does more between hidden states and logits than its head and a soft cap.

    Falcon-H1 multiplies logits by `lm_head_multiplier`, for instance: a loss from hidden states would leave that out.
    """
    require_linear_head(model, reason)
    if not _answers(model):
        return
    token_ids = _token_ids(model, _NUM_TOKENS)
    with _quiet(model):
        hidden = model.base_model(input_ids=token_ids, **without_cache(model)).last_hidden_state
        found = HeadLoss(model, "no")(hidden, token_ids)
        expected = next_token_loss_sum(_logits(model, token_ids), token_ids)
    tolerance = _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALF)
    if not torch.allclose(found.float(), expected.float(), rtol=tolerance, atol=tolerance):
        raise ValueError(
            f"{reason} does not know all that {type(model).__name__} does behind its head: from hidden states the loss "
            f"of a few tokens is {found.item():.5f}, and of the model's logits {expected.item():.5f}"
        )


def keeps_documents_apart(model: PreTrainedModel) -> bool:
    """Returns False if a document attends to another one packed before it; True also if that cannot be tested.

    Exchanges the first document of a row, and compares the change of the second one's logits when packed with the
    change when the row is one text, in which everything is attended to.
    """
    if not _answers(model):
        return True
    if not takes(model, "position_ids"):
        return False
    half = _NUM_TOKENS // 2
    rows = _token_ids(model, _NUM_TOKENS)
    rows = torch.cat([rows, torch.cat([rows[:, half:], rows[:, half:]], dim=1)])  # ab and bb
    positions = torch.arange(half, device=device_of(model)).repeat(2).expand(2, -1)
    inputs = {"position_ids": positions}
    if takes(model, "sequence_ids"):
        inputs["sequence_ids"] = (positions == 0).cumsum(1)
    with _quiet(model):
        packed, as_one = (_logits(model, rows, **given)[:, half:] for given in (inputs, {}))
    leak, all_of_it = ((logits[0] - logits[1]).abs().max() for logits in (packed, as_one))
    return bool(leak <= _LEAKS * all_of_it)


def _answers(model: PreTrainedModel) -> bool:
    """Returns True if the model can be called here: it has contents, and kernels for its device."""
    first = next(model.parameters())
    is_empty = isinstance(first, FakeTensor) or (first.device.type == "meta" and not is_deferred(model))
    kernel = str(getattr(model.config, "_attn_implementation", ""))
    return not is_empty and not (device_of(model).type == "cpu" and "flash" in kernel)


def _token_ids(model: PreTrainedModel, count: int) -> Tensor:
    return (torch.arange(count, device=device_of(model)) % int(model.config.vocab_size))[None]


def _logits(model: PreTrainedModel, token_ids: Tensor, **inputs: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=token_ids, **inputs, **without_cache(model)).logits
    return logits.float()


@contextmanager
def _quiet(model: PreTrainedModel) -> Iterator[None]:
    with torch.no_grad(), evaluating(model), answering(model):
        yield
