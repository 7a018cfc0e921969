"""Constructs models with empty large parameters, and fills them. The package's docstring explains the method."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fgc_runtime import checkpoint
from fgc_runtime.trainers.deferred.files import reading_later
from fgc_runtime.trainers.deferred.recording import KeepingMemory, Recording, SeenOnCpu, is_large
from fgc_runtime.trainers.deferred.standing_in import StandingIn
from fgc_runtime.trainers.deferred.storages import StoragePart

_recordings: WeakKeyDictionary[nn.Module, Recording] = WeakKeyDictionary()  # of models that are not filled yet


def construct(factory: Callable[[], Any], *, tell: Callable[[str], None]) -> Any:
    """Returns the result of `factory`. If it is a model, its large parameters have no contents yet.

    A factory with an operation that cannot be replayed is called once more, from the same random states, and returns a
    whole model. Then `tell` gets a line with the reason. Errors of `factory` pass through.
    """
    before = checkpoint.RandomState.capture()
    made, refusal = _with_refusal(factory)
    if refusal is None and isinstance(made, nn.Module) and _is_whole(made):
        tell(_told("gives no weight values of its own that can be written down"))
    if refusal is None:
        return made
    tell(_told(refusal))
    before.restore()
    return factory()


def is_deferred(model: nn.Module) -> bool:
    """Returns True if `construct` made the model and `fill` has not finished it."""
    return model in _recordings


def fill(model: nn.Module, part: nn.Module | None = None) -> None:
    """Gives a part of a model, or all that is left of it, the weights that `construct` left out."""
    recording = _recordings.get(model)
    if recording is None:
        return
    for parameter in (model if part is None else part).parameters():
        if recording.knows(parameter):
            _make(recording, [parameter])
    if part is None:
        del _recordings[model]


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """Makes a model from `construct` callable in the body, with small random numbers in place of its weights."""
    if model not in _recordings:
        yield
        return
    knows = _recordings[model].knows
    with torch.random.fork_rng(devices=[]), StandingIn(knows), SeenOnCpu(knows):
        yield


def device_of(model: nn.Module) -> torch.device:
    """Returns the device of a model's weights: the CPU while they have no contents."""
    device = next(model.parameters()).device
    return torch.device("cpu") if device.type == "meta" and is_deferred(model) else device


def _with_refusal(factory: Callable[[], Any]) -> tuple[Any, str | None]:
    """Returns the result of `factory`, or the reason why it must be called once more."""
    recording = Recording()
    try:
        with (
            _noticing_threads(recording),
            reading_later(recording),
            recording,
            KeepingMemory(recording),
            SeenOnCpu(recording.knows),
        ):
            made = factory()
        _settle(made, recording)
    except Exception:
        if recording.refusal is None:
            raise
    return (made, None) if recording.refusal is None else (None, recording.refusal)


@contextmanager
def _noticing_threads(recording: Recording) -> Iterator[None]:
    """Refuses a constructor that starts a thread, because the modes of torch do not see other threads.

    Replaces `Thread.start` instead of using `threading.setprofile`, with which a thread of Python 3.11.7 once hung.
    """
    start, builder = threading.Thread.start, threading.get_ident()

    def noticed(thread: threading.Thread) -> None:
        if threading.get_ident() == builder:
            recording.refuse("starts a thread, in which nothing is written down")
        start(thread)

    with patch.object(threading.Thread, "start", noticed):
        yield


def _told(reason: str) -> str:
    return f"Each process makes the whole model before it keeps its part: the constructor {reason}"


def _is_whole(model: nn.Module) -> bool:
    large = [parameter for parameter in model.parameters() if is_large(parameter)]
    return bool(large) and not any(parameter.is_meta for parameter in large)


def _settle(made: object, recording: Recording) -> None:
    """Fills every empty tensor that is not a parameter of the model, or shares its memory.

    Raises CannotDefer if a tensor could not be filled later and stay the same object.
    """
    recording.forget_working_memory()
    parameters = set(map(id, made.parameters())) if isinstance(made, nn.Module) else set[int]()
    by_storage: dict[torch.UntypedStorage, list[Tensor]] = {}
    for tensor in _living(recording, parameters):
        _require_own(tensor, recording)
        by_storage.setdefault(tensor.untyped_storage(), []).append(tensor)
    for tensors in by_storage.values():
        if len(tensors) > 1 or id(tensors[0]) not in parameters:
            _make(recording, tensors)
    if isinstance(made, nn.Module):
        _recordings[made] = recording


def _living(recording: Recording, parameters: set[int]) -> list[Tensor]:
    """Returns all living tensors without contents: in modules, other objects, and closures."""
    found = _found(recording)
    if any(id(tensor) not in parameters for tensor in found):
        gc.collect()  # slow, so only if needed: some tensors may be unreachable
        found = _found(recording)
    return found


def _found(recording: Recording) -> list[Tensor]:
    of_any_kind = [value for value in gc.get_objects() if Tensor in type(value).__mro__]  # isinstance asks the value
    return [tensor for tensor in of_any_kind if recording.knows(tensor)]


def _require_own(tensor: Tensor, recording: Recording) -> None:
    """Raises CannotDefer for a tensor that cannot be exchanged unnoticed (weak references, hooks, a graph)."""
    hooks: Any = tensor
    if weakref.getweakrefs(tensor):
        raise recording.refuse("keeps weak references to weights")
    if hooks._backward_hooks or hooks._post_accumulate_grad_hooks:
        raise recording.refuse("has hooks on weights")
    if tensor.grad_fn is not None or hooks._use_count() > 1:
        raise recording.refuse("computes a tensor from a weight and keeps how")


def _make(recording: Recording, tensors: list[Tensor]) -> None:
    """Fills tensors that share one storage; they stay the same objects."""
    history = recording.histories[tensors[0].untyped_storage()]
    whole = StoragePart.of(tensors[0]) if len(tensors) == 1 else _whole(history.num_bytes)
    storage = history.snapshot(whole).storage()
    for tensor in tensors:
        contents = StoragePart.of(tensor).of_storage(storage)
        made: Any = torch.Tensor._make_subclass(type(tensor), contents, tensor.requires_grad)
        made.__dict__.update(tensor.__dict__)
        torch.utils.swap_tensors(tensor, made)  # type: ignore[no-untyped-call]


def _whole(num_bytes: int) -> StoragePart:
    return StoragePart((num_bytes,), (1,), 0, torch.uint8, is_dense=True)
