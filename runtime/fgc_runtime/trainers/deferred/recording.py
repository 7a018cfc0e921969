"""Operations of torch while a constructor runs: written down, given the contents that they need, or refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from fgc_runtime.trainers.deferred.history import History, Step
from fgc_runtime.trainers.deferred.storages import StoragePart, zeros

_FEWEST_ELEMENTS = 1 << 14  # smaller tensors are made at once: norms, biases, frequencies
_MOST_STEPS = 4096  # to make one storage: each random one keeps 5 kB, and who reads parts looks at all of them
_DEEPEST = 20  # copies of copies of weights: each is made within the one before
_CPU, _META = torch.device("cpu"), torch.device("meta")

_aten = torch.ops.aten
_EMPTY = {_aten.empty, _aten.new_empty, _aten.empty_like, _aten.empty_strided, _aten.new_empty_strided}
_ZEROS = {_aten.zeros, _aten.new_zeros, _aten.zeros_like}
_ONES = {_aten.ones, _aten.new_ones, _aten.ones_like}
_FULL = {_aten.full, _aten.new_full, _aten.full_like}
_RAND, _RANDN = {_aten.rand, _aten.rand_like}, {_aten.randn, _aten.randn_like}
_FACTORIES = _EMPTY | _ZEROS | _ONES | _FULL | _RAND | _RANDN

# what they write to a tensor does not depend on what was in there
_DRAWN = {_aten.uniform_, _aten.normal_, _aten.log_normal_, _aten.exponential_, _aten.bernoulli_, _aten.random_}
_OVERWRITES = {_aten.fill_, _aten.zero_, _aten.copy_} | _DRAWN
# what they write to a tensor depends on what was in that part of it, and on nothing else
_ADJUSTS = {
    *(_aten.add_, _aten.sub_, _aten.mul_, _aten.div_, _aten.neg_, _aten.pow_, _aten.sqrt_, _aten.exp_, _aten.log_),
    *(_aten.erfinv_, _aten.clamp_, _aten.clamp_min_, _aten.clamp_max_, _aten.tril_, _aten.triu_),
    *(_aten.masked_fill_, _aten.index_put_),
}
_RECORDED = _OVERWRITES | _ADJUSTS
_COPIES = {_aten.clone, _aten._to_copy}  # the latter to another dtype
_TURNS = {_aten.t_, _aten.transpose_, _aten.squeeze_, _aten.unsqueeze_}  # change a tensor and not what is in memory

_tensor: Any = torch.Tensor
_GIVES_MEMORY_AWAY = {
    *(_tensor.data_ptr, _tensor.untyped_storage, _tensor.storage, _tensor.share_memory_),
    *(_tensor.__reduce_ex__, _tensor.__dlpack__),
}
_COMPUTE_GRADIENTS = {_tensor.backward, torch.autograd.grad}


class CannotDefer(Exception):
    """A constructor does what is not written down. The message goes on a sentence that begins with "it"."""


class _Working(NamedTuple):
    """Contents of a part of a storage, as they are now."""

    of: torch.UntypedStorage
    span: range
    storage: torch.UntypedStorage

    def covers(self, storage: torch.UntypedStorage, span: range) -> bool:
        return self.of is storage and self.span.start <= span.start and span.stop <= self.span.stop


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """Large tensors on the CPU that are made while this is active have no contents.

    Raises CannotDefer for what it cannot write down, and keeps why as `refusal`: a constructor may catch the error.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.histories: WeakKeyDictionary[torch.UntypedStorage, History] = WeakKeyDictionary()
        self.refusal: str | None = None
        self.is_autocast = False  # around the function of torch that runs: its operations do not see it
        self._working: _Working | None = None  # one at a time is in memory

    def knows(self, tensor: Tensor) -> bool:
        """Returns True for a tensor without contents that was made while this was active."""
        with torch._C.DisableTorchFunction():  # the modes below ask this
            return tensor.is_meta and tensor.untyped_storage() in self.histories

    def knows_any(self, values: Any) -> bool:
        """Returns True if such a tensor is among `values`, or in a list or dictionary of them."""
        return any(self.knows(tensor) for tensor in _tensors(values))

    def refuse(self, reason: str) -> CannotDefer:
        """Returns the error to raise."""
        self.refusal = self.refusal or reason
        return CannotDefer(self.refusal)

    @contextmanager
    def refusing_failures(self, function: Any, values: Any) -> Iterator[None]:
        """In the body, an error is a refusal where such a tensor is among the `values` that a function got.

        Functions that compute gradients get it as a part of the graph.
        """
        try:
            yield
        except Exception as error:
            if self.refusal is None and (function in _COMPUTE_GRADIENTS or self.knows_any(values)):
                name = getattr(function, "__name__", str(function))
                raise self.refuse(f"calls {name}, which fails on a weight that is not made yet") from error
            raise

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation of torch, or writes it down."""
        with torch._C.DisableTorchFunction():  # `SeenOnCpu` would answer here too
            kwargs = dict(kwargs or {})
            if func.overloadpacket is _aten.scalar_tensor and kwargs.get("device") == _META:
                kwargs["device"] = _CPU  # the 1 of `weight[0] = 1`: torch makes it on the device of `weight`
            if kwargs.get("device") == _META:
                raise self.refuse("puts tensors on the device meta")
            self._require_contents((args, kwargs))
            with self.refusing_failures(func.overloadpacket, (args, kwargs)):
                result = self._run(func, args, kwargs)
            self._require_contents(result)
            return result

    def contents_of(self, tensor: Tensor) -> Tensor:
        """Returns what `tensor` would hold now. The memory may be this recording's own: do not write to it."""
        storage, part = tensor.untyped_storage(), StoragePart.of(tensor)
        if self._working is None or not self._working.covers(storage, part.span):
            self._working = None  # first, so that two are not in memory
            self._working = _Working(storage, part.span, self.histories[storage].snapshot(part).storage())
        return part.of_storage(self._working.storage)

    def forget_working_memory(self) -> None:
        """Let go of the contents that were made last."""
        self._working = None

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        packet = func.overloadpacket
        if packet in _FACTORIES and not func._schema.is_mutable:  # one with `out` changes that
            return self._create(func, args, kwargs)
        if func.is_view or packet in _TURNS or not self.knows_any((args, kwargs)):
            return func(*args, **kwargs)
        if packet in _COPIES and kwargs.get("device") is None:
            return self._copy(func, args, kwargs)
        if not func._schema.is_mutable:
            return self._compute(func, args, kwargs)
        if packet not in _RECORDED:
            raise self.refuse(f"changes weights with {packet.__name__}, which is not written down")
        if self.knows(args[0]):
            return self._change(func, args, kwargs)
        return self._compute(func, args, kwargs)

    def _create(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        if kwargs.get("device") is None and self.knows_any((args, kwargs)):
            kwargs["device"] = _CPU
        shape: Tensor = func(*args, **{**kwargs, "device": _META, "pin_memory": None, **_without_generator(kwargs)})
        device = kwargs.get("device") or next((source.device for source in _tensors(args)), _CPU)
        is_plain = torch.device(device).type == "cpu" and shape.layout is torch.strided and not kwargs.get("pin_memory")
        if not is_plain or not is_large(shape):
            return func(*args, **kwargs)  # type: ignore[no-any-return]
        self._begin(shape)
        packet, drawn = func.overloadpacket, {"generator": kwargs.get("generator")}
        if packet in _ZEROS:
            self._change(_aten.zero_.default, (shape,), {})
        elif packet in _ONES | _FULL:
            self._change(_aten.fill_.Scalar, (shape, 1 if packet in _ONES else args[-1]), {})
        elif packet in _RAND:
            self._change(_aten.uniform_.default, (shape,), drawn)
        elif packet in _RANDN:
            self._change(_aten.normal_.default, (shape,), drawn)
        return shape

    def _copy(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        shape: Tensor = func(*args, **kwargs)
        if not is_large(shape):
            return self._compute(func, args, kwargs)  # type: ignore[no-any-return]
        self._begin(shape)
        return self._change(_aten.copy_.default, (shape, args[0]), {})

    def _begin(self, shape: Tensor) -> None:
        storage = shape.untyped_storage()
        self.histories[storage] = History(storage.nbytes())

    def _change(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Writes an operation in place down; draws what it draws, and keeps the working memory up to date."""
        target, *others = args
        storage, part = target.untyped_storage(), StoragePart.of(target)
        if part.may_overlap:
            raise self.refuse("changes a weight through a view that shows elements twice")
        packet, generator = func.overloadpacket, kwargs.pop("generator", None) or torch.default_generator
        func(target, *tree_map(_shape_of, others), **tree_map(_shape_of, kwargs))  # raises for what does not fit
        others, kwargs = tree_map(self._kept, (tuple(others), kwargs))
        history, is_drawn = self.histories[storage], packet in _DRAWN
        step = Step(func, part, others, kwargs, generator.get_state() if is_drawn else None)
        history.add(step, overwrites=packet in _OVERWRITES)
        if history.num_steps > _MOST_STEPS:
            raise self.refuse(f"takes more than {_MOST_STEPS} steps to make one weight")
        self._change_working_memory(step, storage, generator if is_drawn else None)
        return target  # type: ignore[no-any-return]

    def _change_working_memory(
        self, step: Step, storage: torch.UntypedStorage, generator: torch.Generator | None
    ) -> None:
        """Keeps contents up to date that are in memory, and draws, so that `generator` goes on."""
        span, working = step.part.span, self._working
        if working is not None and working.covers(storage, span):
            step.run(working.storage, generator)
        elif generator is not None:
            working = self._working = None  # first, so that two are not in memory
            drawn = zeros(self.histories[storage].num_bytes)
            step.run(drawn, generator)
            self._working = _Working(storage, span, drawn) if step.part.is_dense else None
        elif working is not None and working.of is storage:
            self._working = None

    def _compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs an operation that reads contents; what it returns or writes to has contents of its own."""
        if self.is_autocast:
            raise self.refuse("computes with weights under autocast, which leaves out what is on the device meta")
        memory = set[torch.UntypedStorage]()

        def with_contents(value: Any) -> Any:
            if not isinstance(value, Tensor) or not self.knows(value):
                return value
            made = self.contents_of(value)
            memory.add(made.untyped_storage())
            return made

        args, kwargs = tree_map(with_contents, (args, kwargs))
        result = func(*args, **kwargs)
        strided = (tensor for tensor in _tensors(result) if tensor.layout is torch.strided)
        if any(tensor.untyped_storage() in memory for tensor in strided):
            raise self.refuse(f"calls {func.overloadpacket.__name__}, whose result may share memory with a weight")
        return result

    def _kept(self, value: Any) -> Any:
        """An argument as it is now, whatever is done to it later."""
        if not isinstance(value, Tensor):
            return value
        if not self.knows(value):
            return value.clone()
        snapshot = self.histories[value.untyped_storage()].snapshot(StoragePart.of(value))
        if snapshot.depth > _DEEPEST:
            raise self.refuse(f"copies weights from one another more than {_DEEPEST} times in a row")
        return snapshot

    def _require_contents(self, values: Any) -> None:
        """Raises CannotDefer for tensors that have no contents and no history, or are more than a part of a storage."""
        for tensor in _tensors(values):
            if not tensor.is_meta:
                continue
            if tensor.untyped_storage() not in self.histories:
                raise self.refuse("computes with tensors on the device meta")
            if tensor.is_conj() or tensor.is_neg():
                raise self.refuse("has a conjugate or negative view of a weight")


class KeepingMemory(TorchFunctionMode):
    """Refuses what gives the memory of a tensor without contents away, and what fails because there is none."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls a function of torch."""
        if func in _GIVES_MEMORY_AWAY and self._recording.knows_any(args[:1]):
            raise self._recording.refuse(f"asks for the memory of a weight ({func.__name__})")
        self._recording.is_autocast = torch.is_autocast_enabled("cpu")
        with self._recording.refusing_failures(func, (args, kwargs)):
            return func(*args, **(kwargs or {}))


class SeenOnCpu(TorchFunctionMode):
    """Lets tensors without contents answer as those that they stand for: `torch.nn.init` leaves out what `is_meta`."""

    def __init__(self, knows: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._knows = knows

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls a function of torch, unless it asks where such a tensor lies."""
        if func in _ANSWERS and self._knows(args[0]):
            return _ANSWERS[func]
        return func(*args, **(kwargs or {}))


_ANSWERS = {_tensor.is_meta.__get__: False, _tensor.is_cpu.__get__: True, _tensor.device.__get__: _CPU}


def is_large(tensor: Tensor) -> bool:
    """Returns True for a tensor that is worth leaving out."""
    return tensor.numel() >= _FEWEST_ELEMENTS


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_iter(values) if isinstance(value, Tensor))


def _shape_of(value: Any) -> Any:
    return torch.empty_like(value, device=_META) if isinstance(value, Tensor) else value


def _without_generator(kwargs: dict[str, Any]) -> dict[str, Any]:
    """A generator of the CPU draws nothing for a tensor without contents."""
    return {"generator": None} if "generator" in kwargs else {}
