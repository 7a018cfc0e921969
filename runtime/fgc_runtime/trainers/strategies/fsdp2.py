"""Shards parameters, gradients and optimizer state over processes, layer by layer; optionally matrices too."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from fgc_runtime.checkpoint.parts import WeightParts
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.deferred import fill
from fgc_runtime.trainers.losses.objective import Objective
from fgc_runtime.trainers.losses.training_loss import TrainingLoss
from fgc_runtime.trainers.strategies.base import Strategy, compile_in_place, save_memory
from fgc_runtime.trainers.strategies.layout import decoder_parts, make_mesh, skeleton
from fgc_runtime.trainers.strategies.tensor_parallel import CutMatrices

# it warns at each save that gathering along two meshes takes two steps
logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class FSDP2(Strategy):
    """torch's `fully_shard` on each layer, on a mesh of `dp_replicate_size` x shards x `tp_size` processes.

    The number of shards is the world's size divided by the other two. `dp_replicate_size` above 1 is HSDP: shards
    within a group of processes (a node), and gradients averaged between groups. `tp_size` above 1 also splits matrices
    by the model's tensor parallel plan; processes that share a matrix read the same data. `reshard_after_forward` False
    keeps layers gathered until their backward: less traffic, more memory. `param_dtype` is the dtype in which layers
    compute (None: by `bf16` or `fp16`, else float32), `reduce_dtype` that in which gradients are reduced. `cpu_offload`
    keeps shards in host memory.
    """

    def __init__(
        self,
        *,
        dp_replicate_size: int = 1,
        tp_size: int = 1,
        reshard_after_forward: bool | int = True,
        param_dtype: str | None = None,
        reduce_dtype: str = "float32",
        cpu_offload: bool = False,
    ) -> None:
        for name, size in (("dp_replicate_size", dp_replicate_size), ("tp_size", tp_size)):
            if size < 1:
                raise ValueError(f"{name} ({size}) must be at least 1")
        for name, dtype in (("param_dtype", param_dtype), ("reduce_dtype", reduce_dtype)):
            if dtype is not None and dtype not in _DTYPES:
                raise ValueError(f"{name} ({dtype!r}) must be one of {', '.join(_DTYPES)}")
        self.dp_replicate_size = dp_replicate_size
        self.tp_size = tp_size
        self.reshard_after_forward = reshard_after_forward
        self.param_dtype = param_dtype
        self.reduce_dtype = reduce_dtype
        self.cpu_offload = cpu_offload

    @property
    def data_rank(self) -> int:
        """Returns the data rank, which is equal on processes that share matrices."""
        return self.world.rank // self.tp_size

    @property
    def data_world_size(self) -> int:
        """Returns the number of shards times replicas."""
        return self.world.size // self.tp_size

    @property
    def holds_whole_model(self) -> bool:
        """Returns False: each process has a shard of the weights."""
        return False

    @property
    def keeps_shards_on_host(self) -> bool:
        """Returns True with `cpu_offload`."""
        return self.cpu_offload

    @property
    def fills_parts(self) -> bool:
        """Returns True: layers are filled and sharded one after the other."""
        return True

    @property
    def architecture(self) -> PreTrainedModel:
        """Returns the whole model on the device `meta`."""
        return self._skeleton

    @property
    def is_counted(self) -> bool:
        """Returns True on the first of the processes that share matrices."""
        return self.world.rank % self.tp_size == 0

    @property
    def dropout_stream(self) -> int:
        """Returns the stream, equal on processes that share matrices, because their activations are equal."""
        return self.data_rank

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Shards the model; afterwards its parameters are DTensors."""
        self.world = world
        self.model = model
        self._micro_batch_size = args.per_device_train_batch_size
        self._skeleton = skeleton(model)
        save_memory(model, args)
        mesh = self._mesh(world)
        parts = decoder_parts(model, "FSDP2")
        loss.prepare(model, args)
        matrices = None
        if self.tp_size > 1:
            if args.fused_loss != "no":
                raise ValueError(
                    f"fused_loss ({args.fused_loss!r}) must be 'no' with tp_size ({self.tp_size}): the head is cut"
                )
            matrices = CutMatrices(model, mesh["tp"])
        self.objective = Objective(model, loss, args, world.device)
        data_mesh = mesh["dp_replicate", "dp_shard"] if self.dp_replicate_size > 1 else mesh["dp_shard"]
        precision = MixedPrecisionPolicy(
            param_dtype=self._compute_dtype(args),
            reduce_dtype=_DTYPES[self.reduce_dtype],
            cast_forward_inputs=False,
        )
        offload = CPUOffloadPolicy(pin_memory=world.device.type != "cpu") if self.cpu_offload else OffloadPolicy()
        for layer in parts.layers:
            fill(model, layer)
            if matrices is not None:
                matrices.cut(layer)
            if args.torch_compile:
                compile_in_place(layer, args)
            self._shard(layer, data_mesh, precision, offload)
        fill(model)
        if matrices is not None:
            matrices.cut_rest()
        self._shard(self.objective, data_mesh, precision, offload)

    def backward(self, window: Window, divisor: float) -> Tensor:
        """Computes gradients of this process's micro-batches, reduced once, with the last one."""
        scale = self.data_world_size / divisor  # fully_shard takes the mean over processes
        *earlier, last = self.evened(window)
        self.objective.set_requires_gradient_sync(False)  # type: ignore[operator]  # fully_shard adds it
        loss_sum = self._accumulate(self.objective, earlier, scale)
        self.objective.set_requires_gradient_sync(True)  # type: ignore[operator]
        return (loss_sum + self._accumulate(self.objective, [last], scale)) * float(self.is_counted)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns the loss on the first of the processes that read a batch, zeros on the others."""
        loss_sum: Tensor = super().loss(batch) * float(self.is_counted)
        return loss_sum

    def _norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Returns the norm from the squares of all shards, each divided by its number of copies."""
        gradients = [parameter.grad for parameter in parameters if isinstance(parameter.grad, DTensor)]
        shares = torch.tensor([_num_shards(gradient) / self.world.size for gradient in gradients])
        norms = torch.stack(torch._foreach_norm([gradient.to_local() for gradient in gradients]))
        squares = (norms.square() * shares.to(norms)).sum()
        dist.all_reduce(squares)
        return squares.sqrt()

    def clip_grad_norm(self, max_norm: float) -> Tensor:
        """Scales the gradients of the whole model down to `max_norm`; returns their norm before."""
        norm = self.grad_norm()
        factor = torch.clamp(max_norm / (norm + 1e-6), max=1.0)  # as torch.nn.utils.clip_grads_with_norm_
        locals_ = [gradient.to_local() for gradient in self.gradients() if isinstance(gradient, DTensor)]
        torch._foreach_mul_(locals_, factor.to(locals_[0].device))
        return norm

    def weight_parts(self) -> WeightParts:
        """Returns an object that gathers one weight at a time on all processes; the main process keeps a copy."""
        shards: dict[str, Any] = get_model_state_dict(self.model)

        def gather(name: str) -> Tensor | None:
            weight = shards[name]
            if isinstance(weight, DTensor):
                on_mesh: Any = weight.to(weight.device_mesh.device_type)  # from the host, with cpu_offload
                weight = on_mesh.full_tensor()
            return weight.detach().cpu() if self.world.is_main else None

        shapes = {name: torch.empty_like(shard, device="meta") for name, shard in shards.items()}
        return WeightParts(shapes, gather)

    def rehearse(self, window: Window, divisor: float) -> Tensor:
        """Runs `backward`: collectives of a rehearsal do nothing."""
        return self.backward(window, divisor)

    def plan(self) -> str:
        """Returns a short description of the sharding for the user."""
        shards = self.data_world_size // self.dp_replicate_size
        parts = [f"weights in {shards} shards"]
        if self.dp_replicate_size > 1:
            parts.append(f"{self.dp_replicate_size} replicas")
        if self.tp_size > 1:
            parts.append(f"matrices cut in {self.tp_size}")
        return ", ".join(parts)

    def _mesh(self, world: World) -> DeviceMesh:
        others = self.dp_replicate_size * self.tp_size
        if world.size % others:
            raise ValueError(
                f"dp_replicate_size ({self.dp_replicate_size}) x tp_size ({self.tp_size}) must divide the number of "
                f"processes ({world.size})"
            )
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if world.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
        shape = (self.dp_replicate_size, world.size // others, self.tp_size)
        return make_mesh(world.device.type, shape, ("dp_replicate", "dp_shard", "tp"))

    def _compute_dtype(self, args: TrainingArguments) -> torch.dtype | None:
        if self.param_dtype is not None:
            return _DTYPES[self.param_dtype]
        return torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None

    def _shard(
        self, module: nn.Module, mesh: DeviceMesh, precision: MixedPrecisionPolicy, offload: OffloadPolicy
    ) -> None:
        fully_shard(
            module,
            mesh=mesh,
            reshard_after_forward=self.reshard_after_forward,
            mp_policy=precision,
            offload_policy=offload,
        )


def _num_shards(tensor: DTensor) -> int:
    """Returns the number of different shards of a tensor; the remaining processes have copies of them."""
    sizes = zip(tensor.placements, tensor.device_mesh.shape, strict=True)
    return math.prod(size for placement, size in sizes if not placement.is_replicate())
