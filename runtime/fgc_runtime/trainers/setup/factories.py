"""Makes the optimizer and the scheduler, with the user's factories, or from the arguments without them."""

import inspect
from collections.abc import Callable

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fgc_runtime.optim import constant_with_warmup, cosine_with_warmup, linear_with_warmup, weight_decay_groups
from fgc_runtime.optim.groups import ParameterGroup
from fgc_runtime.trainers.arguments import TrainingArguments

OptimizerFactory = Callable[[list[ParameterGroup]], Optimizer]
LRSchedulerFactory = Callable[..., LRScheduler]


def make_optimizer(model: nn.Module, factory: OptimizerFactory | None, args: TrainingArguments) -> Optimizer:
    """Returns the optimizer. The factory gets two groups; norms, biases and embeddings have no `weight_decay`."""
    groups = weight_decay_groups(model)
    if factory is not None:
        return factory(groups)
    return AdamW(
        groups,
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        weight_decay=args.weight_decay,
        fused=True,
    )


def make_lr_scheduler(
    optimizer: Optimizer, factory: LRSchedulerFactory | None, args: TrainingArguments, *, num_training_steps: int
) -> LRScheduler:
    """Returns the scheduler. The factory gets the optimizer, and `num_training_steps` if it has that parameter."""
    if factory is None:
        return _from_arguments(optimizer, args, num_training_steps)
    if "num_training_steps" in inspect.signature(factory).parameters:
        return factory(optimizer, num_training_steps=num_training_steps)
    return factory(optimizer)


def _from_arguments(optimizer: Optimizer, args: TrainingArguments, num_training_steps: int) -> LRScheduler:
    if args.lr_scheduler_type == "constant":
        return constant_with_warmup(optimizer, warmup_steps=args.warmup_steps)
    schedule = cosine_with_warmup if args.lr_scheduler_type == "cosine" else linear_with_warmup
    return schedule(
        optimizer,
        num_training_steps=num_training_steps,
        warmup_steps=args.warmup_steps,
        min_lr_ratio=args.min_lr_ratio,
    )
