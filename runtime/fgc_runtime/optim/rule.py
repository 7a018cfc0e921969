"""An optimizer's step around its update rule: gradients in, weights moved by learning rate times update.

Subclasses say what the update is; what they share is here: decoupled weight decay, one rounding per step for weights of
low precision, float32 state that a checkpoint gives back as it was. Works on DTensors, sharded or not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fgc_runtime.optim.rounding import noise_generator, stochastic_round

State = dict[str, Any]  # as torch types it
Group = dict[str, Any]

SMALLEST_NORM = 1e-30  # what is divided by is at least this: a whole of zeros stays zeros, and nothing overflows
_MOST_ELEMENTS_AT_ONCE = 2**26  # 256 MB of float32 updates: enough to keep a GPU busy, little beside the weights


class UpdateRule(Optimizer):
    """p <- p (1 - lr * weight_decay) - lr * update(gradient, state).

    With `stochastic_rounding`, bfloat16 weights are computed in float32 and rounded by chance; `seed` decides how.
    `numbers` tells parameters apart where chance is involved; None: they are counted, group by group.
    """

    numbers: Mapping[Tensor, int] | None = None

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        weight_decay: float,
        stochastic_rounding: bool,
        seed: int,
        **options: Any,
    ) -> None:
        self._require("lr", lr, lr >= 0, "must not be negative")
        self._require("weight_decay", weight_decay, weight_decay >= 0, "must not be negative")
        common = {"lr": lr, "weight_decay": weight_decay, "stochastic_rounding": stochastic_rounding, "seed": seed}
        super().__init__(params, {**common, **options})

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Returns what is subtracted, times the learning rate; float32, and none of the gradients themselves.

        `states[i]["step"]` counts this step already.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters that have a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _portions(group["params"]):
                self._step_portion(parameters, group)
        return loss

    def number_of(self, parameter: Tensor) -> int:
        """Returns what seeds the parameter's own random numbers, beside the seed and the step."""
        return (self.numbers if self.numbers is not None else numbered(self))[parameter]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but float32 state stays float32 where the weights are bfloat16."""
        super().load_state_dict(state_dict)
        saved_ids = [number for group in state_dict["param_groups"] for number in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for saved_id, parameter in zip(saved_ids, parameters, strict=True):
            for name, value in state_dict["state"].get(saved_id, {}).items():
                if isinstance(value, Tensor) and value.dtype != self.state[parameter][name].dtype:
                    self.state[parameter][name] = value.detach().clone().to(parameter.device)

    def _step_portion(self, parameters: list[Tensor], group: Group) -> None:
        moved = [parameter for parameter in parameters if parameter.grad is not None]
        if not moved:
            return
        states: list[State] = [self.state[parameter] for parameter in moved]
        for state in states:
            state["step"] = state.get("step", torch.zeros(())) + 1
        gradients = [_as_float32(parameter.grad) for parameter in moved]
        updates = self.updates(moved, gradients, states, group)
        numbers: list[int] = []
        if group["stochastic_rounding"]:
            known = self.numbers if self.numbers is not None else numbered(self)
            numbers = [known[parameter] for parameter in moved]
        _apply(moved, updates, states, group, numbers)

    @staticmethod
    def _require(name: str, value: object, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{name} ({value!r}) {rule}")

    @classmethod
    def _require_betas(cls, betas: Sequence[float]) -> None:
        is_pair = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        cls._require("betas", betas, is_pair, "must be two numbers of at least 0 and below 1")


def adam_updates(
    gradients: Sequence[Tensor], states: Sequence[State], *, betas: Sequence[float], eps: float
) -> list[Tensor]:
    """Bias-corrected mean over root of the mean square (Adam; Kingma and Ba 2015, algorithm 1)."""
    for gradient, state in zip(gradients, states, strict=True):
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    means = [state["exp_avg"] for state in states]
    squares = [state["exp_avg_sq"] for state in states]
    torch._foreach_lerp_(means, list(gradients), 1 - betas[0])
    torch._foreach_mul_(squares, betas[1])
    torch._foreach_addcmul_(squares, list(gradients), list(gradients), 1 - betas[1])
    roots = torch._foreach_sqrt(squares)
    steps = [float(state["step"]) for state in states]
    torch._foreach_div_(roots, [(1 - betas[1] ** step) ** 0.5 for step in steps])
    torch._foreach_add_(roots, eps)
    updates = torch._foreach_div(means, [1 - betas[0] ** step for step in steps])
    torch._foreach_div_(updates, roots)
    return list(updates)


def numbered(optimizer: Optimizer) -> dict[Tensor, int]:
    """All parameters of an optimizer, counted from 0."""
    every = (parameter for group in optimizer.param_groups for parameter in group["params"])
    return {parameter: number for number, parameter in enumerate(every)}


def _apply(
    parameters: list[Tensor], updates: list[Tensor], states: Sequence[State], group: Group, numbers: Sequence[int]
) -> None:
    lr, decay = float(group["lr"]), float(group["lr"]) * group["weight_decay"]
    full = [number for number, parameter in enumerate(parameters) if parameter.dtype == torch.float32]
    if full:
        weights = [parameters[number] for number in full]
        if decay:
            torch._foreach_mul_(weights, 1 - decay)
        torch._foreach_add_(weights, [updates[number] for number in full], alpha=-lr)
    for number in sorted(set(range(len(parameters))).difference(full)):
        parameter = parameters[number]
        exact = parameter.float() * (1 - decay) - lr * updates[number]
        if group["stochastic_rounding"] and parameter.dtype == torch.bfloat16:
            step = int(states[number]["step"])
            generator = noise_generator(parameter.device, seed=group["seed"], step=step, index=numbers[number])
            _local(parameter).copy_(stochastic_round(_local(exact), generator=generator))
        else:
            parameter.copy_(exact)


def _portions(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The parameters in order, so many at a time that their updates take little memory."""
    portion: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if portion and size + parameter.numel() > _MOST_ELEMENTS_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(parameter)
        size += parameter.numel()
    if portion:
        yield portion


def _as_float32(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "only parameters with a gradient are moved"
    if gradient.is_sparse or gradient.is_complex():
        raise ValueError("gradients must be dense and real")
    return gradient.float()


def _local(tensor: Tensor) -> Tensor:
    """This process's part of a DTensor; any other tensor itself."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def settled(tensor: Tensor) -> Tensor:
    """A DTensor whose parts are still to be added up over processes, added up; any other tensor itself."""
    placements = getattr(tensor, "placements", ())
    if not any(placement.is_partial() for placement in placements):
        return tensor
    from torch.distributed.tensor import Replicate

    whole = [Replicate() if placement.is_partial() else placement for placement in placements]
    added_up: Tensor = tensor.redistribute(placements=whole)  # type: ignore[attr-defined]  # it is a DTensor
    return added_up


def norms(tensor: Tensor, dim: int | None) -> Tensor:
    """The 2-norm of each slice along `dim`, in a shape that can be multiplied with the tensor; None: of the whole."""
    return settled(torch.linalg.vector_norm(tensor, dim=dim, keepdim=dim is not None))


def mean_square(tensor: Tensor, dim: int | None) -> Tensor:
    """Of each slice along `dim`, or of the whole, without a temporary of the tensor's size."""
    count = tensor.numel() if dim is None else tensor.shape[dim]
    return norms(tensor, dim).square() / count


def beside(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor that every process holds whole, in a form that can be multiplied with `like`."""
    if not hasattr(like, "device_mesh"):
        return tensor
    from torch.distributed.tensor import DTensor, Replicate

    return DTensor.from_local(tensor, like.device_mesh, [Replicate()] * like.device_mesh.ndim)
