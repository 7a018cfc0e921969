"""A model that evaluates for a while, and trains as before afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """In the body the models evaluate; behind it each part does what it did: a user may keep some from dropout.

    Goes both ways by `train`, which a part may define: an adapter merges its weights there, and takes them out again.
    """
    were_training = {part: part.training for model in models for part in model.modules()}  # those around others first
    for model in models:
        model.train(False)
    try:
        yield
    finally:
        for part, was_training in were_training.items():
            if part.training != was_training:
                part.train(was_training)
                part.training = was_training  # a `train` may always say the same
