"""One step of one process, on tensors that have shapes and no contents, among processes that do not exist."""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.distributed.device_mesh import DeviceMesh
from torch.optim import Optimizer
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import PreTrainedModel

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.data import DataCollatorForCausalLM
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World, disconnect
from fgc_runtime.rehearsal.memory import Ledger
from fgc_runtime.rehearsal.program import Cast
from fgc_runtime.rehearsal.report import Rank
from fgc_runtime.trainers.loop.feed import train_windows
from fgc_runtime.trainers.losses import objective
from fgc_runtime.trainers.setup.factories import make_optimizer
from fgc_runtime.trainers.strategies import Strategy


class Rehearsed(NamedTuple):
    """Holds what one process showed."""

    rank: Rank
    window: Window  # with contents
    model: PreTrainedModel
    distinct_ranks: list[int]
    num_parameters: int


def rehearse(cast: Cast, *, rank: int, world_size: int, check: Callable[[Window, PreTrainedModel], None]) -> Rehearsed:
    """Prepare, read the first window, and step once; `check` sees the window before that.

    Raises what the strategy, the data and the model raise.
    """
    world = World(rank, rank, world_size, torch.device("cpu"))
    args = replace(cast.args, dataloader_num_workers=0, use_cpu=True, torch_compile=False)
    with _fake_processes(rank, world_size), _any_experts(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        model = _empty(cast.model)
        strategy = cast.strategy
        strategy.prepare(model, cast.loss, args, world)
        strategy.model.train()
        with unset_fake_temporarily():
            collate = cast.data_collator or DataCollatorForCausalLM(cast.processing_class)
            window = next(train_windows(cast.train_dataset, collate, args, strategy, TrainerState(seed=args.seed)))
            check(window, strategy.model)
        shaped = window._replace(
            micro_batches=[{name: mode.from_tensor(tensor) for name, tensor in batch.items()} for batch in window[0]]
        )
        optimizer = make_optimizer(strategy.model, cast.optimizer_factory, args)
        found = _two_steps(strategy, optimizer, shaped, float(max(1, window.num_label_tokens)))
        return Rehearsed(found, window, strategy.model, strategy.distinct_ranks(), strategy.num_parameters)


def _two_steps(strategy: Strategy, optimizer: Optimizer, window: Window, divisor: float) -> Rank:
    """The memory of a step: of the second one, which begins with the optimizer's state."""
    ledger = Ledger()
    kinds: dict[int, str] = {}
    with ledger, patch.object(objective, "save_on_cpu", ledger.offloading):
        for _ in range(2):
            ledger.phase = "backward"
            strategy.rehearse(window, divisor)
            gradients = strategy.gradients()
            gradient_bytes = sum(map(_bytes, gradients))
            kinds |= dict.fromkeys(ledger.numbers(gradients), "gradient")
            ledger.phase = "step"
            optimizer.step()
            optimizer.zero_grad()
            del gradients
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    kinds |= dict.fromkeys(ledger.numbers(states), "state")
    parameters = sum(map(_bytes, [*strategy.model.parameters(), *strategy.model.buffers()]))
    activations, most = ledger.peak(kinds, phase="backward").others, ledger.peak(kinds)
    everything = parameters + most.total
    shards = parameters + gradient_bytes + sum(map(_bytes, states)) if strategy.keeps_shards_on_host else 0
    return Rank(
        strategy.world.rank,
        strategy.plan(),
        parameters,
        gradient_bytes,
        sum(map(_bytes, states)),
        activations,
        activations if strategy.keeps_shards_on_host else everything,
        shards + most.host,
    )


def _empty(model: Any) -> PreTrainedModel:
    """The model without contents: called in fake mode, a function allocates nothing."""
    return type(model)(model.config) if isinstance(model, PreTrainedModel) else model()


def _bytes(tensor: Tensor) -> int:
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local.numel() * local.element_size()


def _any_experts() -> AbstractContextManager[object]:
    """Makes mixtures of experts work without contents: torch knows the shapes of `grouped_mm` in bfloat16 only.

    transformers has an operation of its own for tracing, with the same shapes.
    """
    return patch("transformers.integrations.moe.is_torchdynamo_compiling", lambda: True)


@contextmanager
def _fake_processes(rank: int, world_size: int) -> Iterator[None]:
    """A process group whose collectives do nothing; meshes keep their contents."""
    disconnect()
    dist.init_process_group("fake", rank=rank, world_size=world_size, store=FakeStore())
    original = DeviceMesh._concatenate
    DeviceMesh._concatenate = staticmethod(_with_contents(original))  # type: ignore[method-assign]
    try:
        yield
    finally:
        DeviceMesh._concatenate = original  # type: ignore[method-assign]
        disconnect()


def _with_contents(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args, **kwargs)

    return call
