"""Logits and labels to the loss that every part of a run means: cross entropy of the next token, summed."""

from torch import Tensor
from torch.nn import functional

from fgc_runtime.data.collator import IGNORED_LABEL


def next_token_loss_sum(logits_BTV: Tensor, labels_BT: Tensor) -> Tensor:
    """Cross entropy of labels 1 .. T-1 given what came before them, in float32, summed over all that are not -100.

    The caller divides by the number of labels of everything that belongs together: a sum can be divided by the count of
    a whole step over all processes, a mean of means cannot.
    """
    targets_BT = functional.pad(labels_BT[:, 1:], (0, 1), value=IGNORED_LABEL)  # labels move, the larger logits stay
    return functional.cross_entropy(
        logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
    )
