"""The strategy `Pipeline`: schedules of torch.distributed.pipelining over stages, and pipelines side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
    ScheduleLoopedBFS,
    ScheduleZBVZeroBubble,
)
from transformers import PreTrainedModel

from fgc_runtime.checkpoint.parts import WeightParts
from fgc_runtime.data.collator import IGNORED_LABEL, Batch
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.deferred import fill
from fgc_runtime.trainers.losses.training_loss import NextTokenLoss, TrainingLoss
from fgc_runtime.trainers.strategies.base import Strategy, compile_in_place, place, save_memory
from fgc_runtime.trainers.strategies.layout import decoder_parts, make_mesh, skeleton
from fgc_runtime.trainers.strategies.pipeline.layout import StageLayout
from fgc_runtime.trainers.strategies.pipeline.stages import (
    Stage,
    cost_of_head,
    keep_own_parts,
    layers_by_stage,
    make_stages,
)
from fgc_runtime.trainers.strategies.pipeline.wavefront import wavefront

SCHEDULES: dict[str, Any] = {
    "GPipe": ScheduleGPipe,
    "1F1B": Schedule1F1B,
    "Interleaved1F1B": ScheduleInterleaved1F1B,
    "LoopedBFS": ScheduleLoopedBFS,
    "InterleavedZeroBubble": ScheduleInterleavedZeroBubble,
    "ZBVZeroBubble": ScheduleZBVZeroBubble,
}
_ONE_STAGE = ("GPipe", "1F1B")
_SPLITS_BACKWARD = ("InterleavedZeroBubble", "ZBVZeroBubble")
_MOST_SHAPES = 8  # each keeps buffers for what stages receive


class Pipeline(Strategy):
    """Divides the model's layers over `pp_size` processes; a batch passes through as `n_microbatches` micro-batches.

    `schedule`: GPipe (all forwards, then all backwards), 1F1B (fewer activations), Interleaved1F1B and LoopedBFS
    (several stages per process: a smaller bubble, more traffic), InterleavedZeroBubble and ZBVZeroBubble (weight
    gradients fill the bubble). `stages_per_rank` None: 1 for the first two, 2 for the others. `layers_per_stage` None:
    evenly, with the head counted by its size. `pp_size` None: all processes; a part of them: several pipelines side by
    side, each on its share of the data. Every process of a pipeline reads the batch itself, so masks and positions need
    not travel.
    """

    def __init__(
        self,
        *,
        schedule: str = "1F1B",
        n_microbatches: int = 4,
        pp_size: int | None = None,
        stages_per_rank: int | None = None,
        layers_per_stage: Sequence[int] | None = None,
    ) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule ({schedule!r}) must be one of {', '.join(SCHEDULES)}")
        default = 1 if schedule in _ONE_STAGE else 2
        self.stages_per_rank = default if stages_per_rank is None else stages_per_rank
        if (schedule in _ONE_STAGE or schedule == "ZBVZeroBubble") and self.stages_per_rank != default:
            raise ValueError(f"stages_per_rank ({stages_per_rank}) must be {default} for the schedule {schedule}")
        for name, value in (("n_microbatches", n_microbatches), ("stages_per_rank", self.stages_per_rank)):
            if value < 1:
                raise ValueError(f"{name} ({value}) must be at least 1")
        self.schedule = schedule
        self.n_microbatches = n_microbatches
        self.pp_size = pp_size
        self.layers_per_stage = layers_per_stage
        self._prepared: dict[tuple[int, ...], _Prepared] = {}

    @property
    def data_rank(self) -> int:
        """Returns the number of this process's pipeline: all its processes read the same examples."""
        return self.world.rank // self._layout.size

    @property
    def data_world_size(self) -> int:
        """Returns the number of pipelines."""
        return self.world.size // self._layout.size

    @property
    def holds_whole_model(self) -> bool:
        """Returns False: each process has a part of the weights."""
        return False

    @property
    def fills_parts(self) -> bool:
        """Returns True: a process fills the stages that it keeps."""
        return True

    @property
    def architecture(self) -> PreTrainedModel:
        """Returns the whole model on the device `meta`."""
        return self._skeleton

    @property
    def is_counted(self) -> bool:
        """Returns True for one process of each pipeline."""
        return self._layout.rank == 0

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Keeps this process's stages and drops the rest of the model."""
        self._check(args, world)
        _check_loss(loss, model, args)
        self.world = world
        self.model = model
        self._batch_size = args.per_device_train_batch_size
        self._skeleton = skeleton(model)
        save_memory(model, args)
        self._layout = self._arrange(world)
        parts = decoder_parts(model, "Pipeline")
        layers = layers_by_stage(
            len(parts.layers), self._layout.num_stages, head_cost=cost_of_head(parts), wanted=self.layers_per_stage
        )
        stages = make_stages(model, layers, args, world.device)
        self._layers = {number: layers[number] for number in self._layout.own}
        self._own = {number: stages[number] for number in self._layout.own}
        self._hidden_size = int(model.config.hidden_size)
        self._join_tied(parts.is_tied)
        keep_own_parts(model, list(self._own.values()))
        for stage in self._own.values():
            fill(model, stage)
            place(stage, world.device)
            if args.torch_compile:
                compile_in_place(stage.part, args)
        fill(model)
        self._make_schedule((self._batch_size, 1))  # errors of torch about it come before the first step

    def backward(self, window: Window, divisor: float) -> Tensor:
        """Computes the gradients of a window, then adds those of tied weights and of other pipelines.

        Returns the summed loss.
        """
        loss_sums: list[Tensor] = []
        for batch in window.micro_batches:
            loss_sums += self._train(self._on_device(_filled(batch, self._batch_size)), 1 / divisor)
        if self.data_world_size > 1:
            _add_up(self.gradients(), self._data_group)
        if self._tied_group is not None:
            _add_up([self._tied_weight.grad], self._tied_group)
        return torch.stack(loss_sums).sum().reshape(1) if loss_sums else torch.zeros(1, device=self.world.device)

    def loss(self, batch: Batch) -> Tensor:
        """The last stage's process returns the loss, the others 0."""
        whole = self._on_device(batch)
        num_rows = len(whole["labels"])
        size = -(-num_rows // min(self.n_microbatches, num_rows))
        batches = [
            {name: tensor[first : first + size] for name, tensor in whole.items()} for first in range(0, num_rows, size)
        ]
        losses = wavefront(self._own, self._layout, batches, self._hidden_size, self._skeleton.dtype)
        return torch.cat(losses).sum().reshape(1) if losses else torch.zeros(1, device=self.world.device)

    def _norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Returns the norm over the gradients of all stages."""
        own = super()._norm([parameter for parameter in parameters if self.counts(parameter)])
        return self.add_stages(own.square()).sqrt()

    def counts(self, parameter: nn.Parameter) -> bool:
        """Returns False for the second copy of a weight that two processes have, which must not count twice."""
        return self._counts_tied or parameter is not self._tied_weight

    def add_stages(self, numbers: Tensor) -> Tensor:
        """Returns the sum of `numbers` over the processes of this pipeline."""
        total = numbers.to(self.world.device, copy=True)
        dist.all_reduce(total, group=self._layout.group)
        return total

    def weight_parts(self) -> WeightParts:
        """Returns the parts of the weights; for each, a process of the first pipeline sends it to the main process."""
        own: dict[str, Tensor] = self.model.state_dict()
        everyones = self.world.gather({name: torch.empty_like(weight, device="meta") for name, weight in own.items()})
        owners = {name: rank for rank in range(self._layout.size) for name in everyones[rank]}

        def gather(name: str) -> Tensor | None:
            if self.world.is_main and name in own and owners[name] == 0:
                return own[name].detach().cpu()
            if self.world.is_main:
                received = torch.empty_like(everyones[owners[name]][name], device=self.world.device)
                dist.recv(received, src=owners[name])
                return received.cpu()
            if self.world.rank == owners[name]:
                dist.send(own[name].detach().to(self.world.device).contiguous(), dst=0)
            return None

        order = [name for name in self._skeleton.state_dict() if name in owners]
        return WeightParts({name: everyones[owners[name]][name] for name in order}, gather)

    def rehearse(self, window: Window, divisor: float) -> Tensor:
        """Runs each micro-batch through this process's stages, with zeros in place of received hidden states."""
        batch = _filled(window.micro_batches[0], self._batch_size)
        rows = self._batch_size // self.n_microbatches
        micro_batch = {name: tensor[:rows].to(self.world.device) for name, tensor in batch.items()}
        token_ids = micro_batch.pop("input_ids")
        hidden_shape = (*token_ids.shape, self._hidden_size)
        kept: list[Tensor] = []
        for _ in range(self._num_in_flight):
            for number, stage in self._own.items():
                hidden = torch.zeros(hidden_shape, dtype=self._skeleton.dtype, device=self.world.device)
                kept.append(stage(token_ids if number == 0 else hidden.requires_grad_(), **micro_batch))
        for output in kept:
            (output.float().sum() / divisor).backward()  # type: ignore[no-untyped-call]
        return kept[-1].detach().sum().reshape(1)

    def distinct_ranks(self) -> list[int]:
        """Returns the processes of one pipeline, which differ in their layers."""
        return list(range(self.pp_size or self.world.size))

    def plan(self) -> str:
        """Returns a line for the user about schedule, micro-batches and layers."""
        layers = ", ".join(f"{stage}: {numbers.start}-{numbers.stop - 1}" for stage, numbers in self._layers.items())
        beside = f", {self.data_world_size} pipelines side by side" if self.data_world_size > 1 else ""
        return f"{self.schedule}, {self.n_microbatches} micro-batches, layers of this process's stages {layers}{beside}"

    @property
    def _num_in_flight(self) -> int:
        """Returns the number of micro-batches whose activations are in memory at once; 1F1B limits it by the rank."""
        if self.schedule == "1F1B":
            return min(self.n_microbatches, self._layout.size - self._layout.rank)
        return self.n_microbatches

    def end(self) -> None:
        """Drops the schedules, which keep the process group alive."""
        self._prepared.clear()

    def _check(self, args: TrainingArguments, world: World) -> None:
        if world.size == 1:
            raise ValueError(
                "Pipeline needs at least two processes, one would hold all stages: start the program with "
                "torchrun --nproc-per-node 2 (or more), or `fgc train`, or choose another strategy"
            )
        if world.size % (self.pp_size or world.size) or self.pp_size == 1:
            raise ValueError(
                f"pp_size ({self.pp_size}) must divide the number of processes ({world.size}), and be at least 2"
            )
        batch_size = args.per_device_train_batch_size
        if batch_size % self.n_microbatches:
            raise ValueError(
                f"n_microbatches ({self.n_microbatches}) must divide per_device_train_batch_size ({batch_size})"
            )
        size = self.pp_size or world.size
        if self.schedule == "1F1B" and self.n_microbatches < size:
            raise ValueError(f"n_microbatches ({self.n_microbatches}) must be at least pp_size ({size}) for 1F1B")
        rounds = max(1, self.n_microbatches // size)
        if self.schedule in ("Interleaved1F1B", "InterleavedZeroBubble") and self.n_microbatches % rounds:
            raise ValueError(
                f"n_microbatches ({self.n_microbatches}) must be a multiple of its rounds ({rounds}: n_microbatches "
                f"// pp_size) for the schedule {self.schedule}"
            )
        if args.optimizer_in_backward:
            raise ValueError("optimizer_in_backward (True) must be False with Pipeline: gradients come in parts")
        if args.torch_compile and self.schedule in _SPLITS_BACKWARD:
            raise ValueError(f"torch_compile (True) must be False for {self.schedule}, which splits backward in two")

    def _arrange(self, world: World) -> StageLayout:
        size = self.pp_size or world.size
        mesh = make_mesh(world.device.type, (world.size // size, size), ("dp", "pp"))
        self._data_group = mesh.get_group("dp")
        is_v = self.schedule == "ZBVZeroBubble"
        return StageLayout(world.rank % size, size, self.stages_per_rank, is_v, mesh.get_group("pp"))

    def _join_tied(self, is_tied: bool) -> None:
        """Keeps a tied weight on the process of the embedding and on that of the head; their gradients are added."""
        layout = self._layout
        first, last = layout.rank_of(0), layout.rank_of(layout.num_stages - 1)
        self._tied_group: dist.ProcessGroup | None = None
        self._tied_weight: Any = None
        self._counts_tied = layout.rank == first
        if not is_tied or first == last:
            return
        for pipeline in range(self.world.size // layout.size):  # every process takes part in making each group
            ranks = [pipeline * layout.size + rank for rank in (first, last)]
            group = dist.new_group(ranks)
            if self.world.rank in ranks:
                self._tied_group = group
                self._tied_weight = decoder_parts(self.model, "Pipeline").head.weight

    def _on_device(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.world.device, non_blocking=True) for name, tensor in batch.items()}

    def _train(self, batch: Batch, scale: float) -> list[Tensor]:
        prepared = self._schedule_for(batch["input_ids"].shape)
        prepared.losses.scale = scale
        inputs = dict(batch)
        token_ids = inputs.pop("input_ids")
        first = (token_ids,) if 0 in self._own else ()
        prepared.schedule.step(*first, target=batch["labels"], return_outputs=False, **inputs)
        return prepared.losses.take()

    def _schedule_for(self, shape: Sequence[int]) -> "_Prepared":
        """Returns the schedule for a shape: stages of torch exchange tensors of one fixed shape."""
        key = tuple(shape)
        if key not in self._prepared:
            if len(self._prepared) == _MOST_SHAPES:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[key] = self._make_schedule(shape)
        return self._prepared[key]

    def _make_schedule(self, shape: Sequence[int]) -> "_Prepared":
        rows, length = shape[0] // self.n_microbatches, shape[1]
        stages = [self._torch_stage(number, stage, rows, length) for number, stage in self._own.items()]
        losses = _Losses()
        make = SCHEDULES[self.schedule]
        given = stages[0] if self.schedule in _ONE_STAGE else stages
        return _Prepared(make(given, self.n_microbatches, loss_fn=losses.record, scale_grads=False), losses)

    def _torch_stage(self, number: int, stage: Stage, rows: int, length: int) -> PipelineStage:
        layout = self._layout
        dtype = self._skeleton.dtype
        token_ids = torch.empty(rows, length, dtype=torch.long, device="meta")
        hidden = torch.empty(rows, length, self._hidden_size, dtype=dtype, device="meta", requires_grad=True)
        loss = torch.empty(1, device="meta", requires_grad=True)
        return PipelineStage(
            stage,
            number,
            layout.num_stages,
            self.world.device,
            input_args=token_ids if number == 0 else hidden,
            output_args=loss if number == layout.num_stages - 1 else hidden,
            group=layout.group,
        )


class _Losses:
    """The loss function of a schedule, which only scales: the last stage has already computed the loss."""

    def __init__(self) -> None:
        self.scale = 1.0
        self._sums: list[Tensor] = []

    def record(self, loss_sum: Tensor, _: Tensor) -> Tensor:
        self._sums.append(loss_sum.detach().sum())
        return loss_sum.sum() * self.scale

    def take(self) -> list[Tensor]:
        sums, self._sums = self._sums, []
        return sums


class _Prepared(NamedTuple):
    schedule: Any
    losses: _Losses


def _check_loss(loss: TrainingLoss, model: PreTrainedModel, args: TrainingArguments) -> None:
    """Raises ValueError if the loss is more than the last stage computes from its logits."""
    if not isinstance(loss, NextTokenLoss) or loss.label_smoothing:
        raise ValueError(f"loss ({type(loss).__name__}) must be NextTokenLoss without label_smoothing with Pipeline")
    loss.prepare(model, args)
    for name, weight in loss.weights.items():
        raise ValueError(
            f"Pipeline cannot train {name}, which {type(model).__name__} adds {weight} times: routers lie on all "
            "stages. Set router_aux_loss_coef: 0.0 in the model's configuration, or choose another strategy"
        )


def _filled(batch: Batch, num_rows: int) -> Batch:
    """Returns a batch padded with rows without labels, because stages exchange tensors of one shape."""
    missing = num_rows - len(batch["labels"])
    if missing <= 0:
        return batch
    filled = {
        name: torch.cat([tensor, tensor[:1].expand(missing, *tensor.shape[1:])]) for name, tensor in batch.items()
    }
    filled["labels"][-missing:] = IGNORED_LABEL
    return filled


def _add_up(gradients: Sequence[Tensor], group: dist.ProcessGroup) -> None:
    """Replaces each gradient by its sum over the group; those of one dtype are sent as one tensor."""
    for dtype in {gradient.dtype for gradient in gradients}:
        alike = [gradient for gradient in gradients if gradient.dtype == dtype]
        together = torch.cat([gradient.flatten() for gradient in alike])
        dist.all_reduce(together, group=group)
        parts = torch.split(together, [gradient.numel() for gradient in alike])
        for gradient, part in zip(alike, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
