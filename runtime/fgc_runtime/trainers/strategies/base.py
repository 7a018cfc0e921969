"""The interface between a parallel strategy and the loop, checkpoints and control of a run.

The loop knows windows, counters and optimizers; a strategy knows where parameters are and how gradients are reduced.
Losses are sums over label tokens: the sum over all processes counts each label of the step exactly once.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.optim import Optimizer
from transformers import PreTrainedModel

from fgc_runtime.checkpoint.parts import WeightParts
from fgc_runtime.data.collator import IGNORED_LABEL, Batch
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.finetune import adapter_state, has_adapter
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.objective import Objective
from fgc_runtime.trainers.losses.training_loss import TrainingLoss

_BY_NAME = StateDictOptions(flatten_optimizer_state_dict=True)


class FullModel(NamedTuple):
    """A model to export: an instance of the user's class. Take the weights from `state_dict`, not from the module."""

    model: PreTrainedModel
    state_dict: dict[str, Tensor]  # canonical names, complete tensors


class Strategy(ABC):
    """One way to train a model on the processes of a world.

    The trainer calls `prepare` once, then per step `backward`, `clip_grad_norm` and the optimizer, and `loss` in
    evaluations; `end` when a training is over.

    Checkpointing may call, on all processes together:

    - `state_dict(optimizer)`: a dictionary for `torch.distributed.checkpoint.save` and `.load`, with the weights below
      `model` and the optimizer's state below `optimizer`, both by canonical parameter names. Each process holds what
      is its own: DTensors (sharded), or plain tensors that every process has or only this one (pipeline stages). The
      names and global shapes do not depend on the strategy, so a checkpoint of one loads into another.
    - `load_state_dict(optimizer, state)`: the way back, after `torch.distributed.checkpoint.load` has filled what
      `state_dict` gave.
    - `weight_parts()`: the weights one at a time, where no process has them all; None where one has.
    - `full_model()`: what `save_pretrained` needs, complete on the main process, None on the others.

    Everything else about a checkpoint (scheduler, data, random states) does not depend on the strategy.
    """

    world: World
    model: PreTrainedModel  # this process's part: `named_parameters` has canonical names in every strategy
    objective: Objective
    _micro_batch_size: int

    @property
    def data_rank(self) -> int:
        """Returns the part of each window that this process reads; processes with the same examples have the same."""
        return self.world.rank

    @property
    def data_world_size(self) -> int:
        """Returns the number of parts of a window."""
        return self.world.size

    @property
    def is_counted(self) -> bool:
        """Returns True if this process's label tokens count, which holds for one process of each data rank."""
        return True

    @property
    def holds_whole_model(self) -> bool:
        """Returns True if one process alone can call `model`."""
        return True

    @property
    def fills_parts(self) -> bool:
        """Returns True if `prepare` fills the parts that a process keeps of an empty model (`trainers.deferred`)."""
        return False

    @property
    def architecture(self) -> PreTrainedModel:
        """Returns the whole model, perhaps without weights, for its class, configuration and shapes."""
        return self.model

    @property
    def num_parameters(self) -> int:
        """Returns the number of parameters of the whole model."""
        return self.architecture.num_parameters()

    @property
    def keeps_shards_on_host(self) -> bool:
        """Returns True if weights, gradients and optimizer state are in host memory and not on the device."""
        return False

    @property
    def dropout_stream(self) -> int:
        """Returns a number to add to the seed of dropout, equal on processes that must drop the same activations."""
        return self.world.rank

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Places the model; sets `world`, `model` and `objective`. Raises ValueError if it cannot be trained so."""
        self.world = world
        self.model = model
        self._micro_batch_size = args.per_device_train_batch_size
        save_memory(model, args)
        place(model, world.device)
        loss.prepare(model, args)
        self.objective = Objective(model, loss, args, world.device)
        if args.torch_compile:
            compile_in_place(model, args)

    @abstractmethod
    def backward(self, window: Window, divisor: float) -> Tensor:
        """Computes gradients of the loss, summed over the labels of all processes and divided by `divisor`, in `.grad`.

        Returns this process's summed terms of the loss (`Objective.forward`), shape (terms).
        """

    def loss(self, batch: Batch) -> Tensor:
        """Returns this process's summed terms of a batch. Call it equally often on all processes."""
        return self.objective(batch)  # type: ignore[no-any-return]  # a module called is Any

    def gradients(self) -> list[Tensor]:
        """Returns the gradients of this process's parameters; DTensors if the parameters are."""
        return _gradients(self._trainable())

    def grad_norm(self) -> Tensor:
        """Returns the norm of the gradient of the whole model, the same on all processes."""
        return self._norm(self._trainable())

    def counts(self, parameter: nn.Parameter) -> bool:
        """Returns True if this process includes a weight in sums for `add_stages`; some are on two processes."""
        return True

    def add_stages(self, numbers: Tensor) -> Tensor:
        """Returns numbers summed over the parts of the model, if processes have different parts."""
        return numbers

    def clip_grad_norm(self, max_norm: float) -> Tensor:
        """Scales the gradients of the whole model down to `max_norm`; returns their norm before."""
        parameters = self._trainable()
        norm = self._norm(parameters)
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        return norm

    def state_dict(self, optimizer: Optimizer) -> dict[str, Any]:
        """Returns weights and optimizer state by name, as the class describes; creates a missing optimizer state."""
        if has_adapter(self.model):  # the base is not saved again
            of_optimizer = get_optimizer_state_dict(self.model, optimizer, options=_BY_NAME)
            return {"model": dict(adapter_state(self.model)), "optimizer": of_optimizer}
        model, of_optimizer = get_state_dict(self.model, optimizer, options=_BY_NAME)
        return {"model": model, "optimizer": of_optimizer}

    def load_state_dict(self, optimizer: Optimizer, state: dict[str, Any]) -> None:
        """Loads a state from `state_dict`, perhaps filled from a checkpoint."""
        if has_adapter(self.model):
            with torch.no_grad():
                for name, weight in adapter_state(self.model).items():
                    weight.copy_(state["model"][name])
            set_optimizer_state_dict(self.model, optimizer, state["optimizer"], options=_BY_NAME)
            return
        set_state_dict(
            self.model,
            optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=_BY_NAME,
        )

    def weight_parts(self) -> WeightParts | None:
        """Returns an object that gathers the weights one at a time; None if each process has all of them."""
        return None

    def full_model(self) -> FullModel | None:
        """Returns the complete model on the main process, None on the others. Call it on all processes."""
        parts = self.weight_parts()
        if parts is not None:
            gathered = parts.complete()
            return None if gathered is None else FullModel(self.architecture, gathered)
        if not self.world.is_main:
            return None
        return FullModel(self.model, adapter_state(self.model) if has_adapter(self.model) else self.model.state_dict())

    def rehearse(self, window: Window, divisor: float) -> Tensor:
        """Runs `backward` without contents and without other processes, to measure shapes and memory."""
        return self._accumulate(self.objective, window.micro_batches, 1 / divisor)

    def distinct_ranks(self) -> list[int]:
        """Returns one process of each kind, by the parts of the model that they have."""
        return [0]

    def plan(self) -> str:
        """Returns a short description of the parallelism for the user."""
        return f"{self.world.size} replicas" if self.world.size > 1 else "one process"

    def end(self) -> None:  # noqa: B027  # most strategies have nothing to do
        """Drops references to the process group, because another training may follow."""

    def evened(self, window: Window) -> list[Batch]:
        """Returns the window's micro-batches, padded with ones without labels to the largest number on any process.

        For strategies with communication in forward passes: each process must run equally many.
        """
        largest_share = math.ceil(window.num_examples / self.data_world_size)
        missing = math.ceil(largest_share / self._micro_batch_size) - len(window.micro_batches)
        return [*window.micro_batches, *[without_labels(window.micro_batches[0])] * missing]

    def refuse_in_backward(self, args: TrainingArguments, reason: str) -> None:
        """Raises ValueError if the optimizer should step during backward, but gradients are complete only after it."""
        if args.optimizer_in_backward and self.world.size > 1:
            raise ValueError(f"optimizer_in_backward (True) must be False with {type(self).__name__}: {reason}")

    def _trainable(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Returns the norm of the gradient of the whole model, from this process's trainable parameters."""
        return nn.utils.get_total_norm(_gradients(parameters))

    def _accumulate(self, forward: nn.Module, batches: Iterable[Batch], scale: float) -> Tensor:
        """Runs backward for each batch; returns their summed terms."""
        total: Tensor | None = None
        for batch in batches:
            sums: Tensor = forward(batch)
            (self.objective.total(sums) * scale).backward()  # type: ignore[no-untyped-call]
            total = sums.detach() if total is None else total + sums.detach()
        return torch.zeros(self.objective.num_terms, device=self.world.device) if total is None else total


def _gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def without_labels(batch: Batch) -> Batch:
    """Returns the batch with all labels ignored, which takes as long to compute."""
    return {**batch, "labels": torch.full_like(batch["labels"], IGNORED_LABEL)}


def place(module: nn.Module, device: torch.device) -> None:
    """Moves a module, unless it is already there: a rehearsal's parameters have no contents and cannot be moved."""
    if any(tensor.device != device for tensor in [*module.parameters(), *module.buffers()]):
        nn.Module.to(module, device)


def save_memory(model: PreTrainedModel, args: TrainingArguments) -> None:
    """Makes layers recompute their activations in backward, if the arguments say so."""
    if args.gradient_checkpointing:
        name = "activation_checkpointing_enable"  # its name since transformers 5.23
        enable = getattr(model, name, None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})


def compile_in_place(module: nn.Module, args: TrainingArguments) -> None:
    """Compiles a module with torch.compile, keeping its name and its parameters."""
    module.compile(backend=args.torch_compile_backend, mode=args.torch_compile_mode)
