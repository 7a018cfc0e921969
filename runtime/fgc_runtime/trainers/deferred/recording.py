"""Intercepts operations of torch while a constructor runs: records them, gives them contents, or refuses them.

`Recording._run` decides, for an operation on tensors without contents:

    it makes a tensor (`zeros`, `randn`)               a new history, if the tensor is large        `_create`
    it is a view (`weight[0]`, `weight.t()`)           torch handles shapes of `meta` tensors       as it is
    it copies (`clone`, `.to(dtype)`)                  a new history that begins with the copy      `_copy`
    it only reads (`norm`, `matmul`)                   runs on replayed contents                    `_compute`
    it changes an empty tensor, and is on the list     a new step in its history                    `_change`
    anything else                                      CannotDefer
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from fgc_runtime.models.stored import StoredTensor
from fgc_runtime.trainers.deferred.history import History, Step
from fgc_runtime.trainers.deferred.storages import StoragePart, zeros

_FEWEST_ELEMENTS = 1 << 14  # smaller tensors are really made: norms, biases, frequencies
_MOST_STEPS = 4096  # of one storage: a random one keeps 5 kB, and each read scans them all
_DEEPEST = 20  # copies of copies of weights: replaying recurses into each
_CPU, _META = torch.device("cpu"), torch.device("meta")

_aten = torch.ops.aten
_EMPTY = {_aten.empty, _aten.new_empty, _aten.empty_like, _aten.empty_strided, _aten.new_empty_strided}
_ZEROS = {_aten.zeros, _aten.new_zeros, _aten.zeros_like}
_ONES = {_aten.ones, _aten.new_ones, _aten.ones_like}
_FULL = {_aten.full, _aten.new_full, _aten.full_like}
_RAND, _RANDN = {_aten.rand, _aten.rand_like}, {_aten.randn, _aten.randn_like}
_FACTORIES = _EMPTY | _ZEROS | _ONES | _FULL | _RAND | _RANDN

# the result does not depend on the earlier contents of the tensor
_DRAWN = {_aten.uniform_, _aten.normal_, _aten.log_normal_, _aten.exponential_, _aten.bernoulli_, _aten.random_}
_OVERWRITES = {_aten.fill_, _aten.zero_, _aten.copy_} | _DRAWN
# the result depends on the earlier contents of the same part, and on nothing else
_ADJUSTS = {
    *(_aten.add_, _aten.sub_, _aten.mul_, _aten.div_, _aten.neg_, _aten.pow_, _aten.sqrt_, _aten.exp_, _aten.log_),
    *(_aten.erfinv_, _aten.clamp_, _aten.clamp_min_, _aten.clamp_max_, _aten.tril_, _aten.triu_),
    *(_aten.masked_fill_, _aten.index_put_),
}
_RECORDED = _OVERWRITES | _ADJUSTS
_COPIES = {_aten.clone, _aten._to_copy}  # the latter to another dtype
_JOINS = {_aten.cat, _aten.stack}
_TURNS = {_aten.t_, _aten.transpose_, _aten.squeeze_, _aten.unsqueeze_}  # change the shape, not the memory

_tensor: Any = torch.Tensor
_GIVES_MEMORY_AWAY = {
    *(_tensor.data_ptr, _tensor.untyped_storage, _tensor.storage, _tensor.share_memory_),
    *(_tensor.__reduce_ex__, _tensor.__dlpack__),
}
_COMPUTE_GRADIENTS = {_tensor.backward, torch.autograd.grad}


class CannotDefer(Exception):
    """A constructor uses an operation that is not recorded. The message completes a sentence that begins with "it"."""


class _Working(NamedTuple):
    """The current contents of a part of a storage."""

    of: torch.UntypedStorage
    span: range
    storage: torch.UntypedStorage

    def covers(self, storage: torch.UntypedStorage, span: range) -> bool:
        return self.of is storage and self.span.start <= span.start and span.stop <= self.span.stop


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """A mode of torch in which large tensors on the CPU are made without contents.

    Raises CannotDefer for an operation that it cannot record. `refusal` keeps the reason, because the constructor may
    catch the error.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.histories: WeakKeyDictionary[torch.UntypedStorage, History] = WeakKeyDictionary()
        self.refusal: str | None = None
        self.is_loading = False  # a model from files, which begins with tensors on meta that are not recorded
        self.is_autocast = False  # of the running function of torch: its operations cannot see it
        self._working: _Working | None = None  # at most one is kept in memory

    def knows(self, tensor: Tensor) -> bool:
        """Returns True for a tensor without contents that this recording made."""
        with torch._C.DisableTorchFunction():  # the modes below ask this
            return tensor.is_meta and tensor.untyped_storage() in self.histories

    def knows_any(self, values: Any) -> bool:
        """Returns True if such a tensor is among `values`, or in a list or dictionary of them."""
        return any(self.knows(tensor) for tensor in _tensors(values))

    def refuse(self, reason: str) -> CannotDefer:
        """Stores the reason and returns the error to raise."""
        self.refusal = self.refusal or reason
        return CannotDefer(self.refusal)

    @contextmanager
    def refusing_failures(self, function: Any, values: Any) -> Iterator[None]:
        """Turns an error in the body into a refusal if an empty tensor is among the `values` that a function got.

        Functions that compute gradients always count: they reach such tensors through the graph.
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
        """Runs an operation of torch, or records it."""
        with torch._C.DisableTorchFunction():  # `SeenOnCpu` would answer here too
            kwargs = dict(kwargs or {})
            if self.is_loading:
                return self._load(func, args, kwargs)
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
        """Returns the current contents of an empty tensor. Do not write to them: they may be kept and used again."""
        storage, part = tensor.untyped_storage(), StoragePart.of(tensor)
        if self._working is None or not self._working.covers(storage, part.span):
            self._working = None  # first, so that two are not in memory
            self._working = _Working(storage, part.span, self.histories[storage].snapshot(part).storage())
        return part.of_storage(self._working.storage)

    def from_file(self, stored: StoredTensor) -> Tensor:
        """Returns a tensor without contents that gets those of a file; a small one with them."""
        shape = torch.empty(stored.shape, dtype=stored.dtype, device=_META)
        if not is_large(shape):
            return stored.tensor().clone()
        storage = shape.untyped_storage()
        self.histories[storage] = History(storage.nbytes(), stored)
        return shape

    def forget_working_memory(self) -> None:
        """Releases the contents that were replayed last."""
        self._working = None

    def _load(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs an operation of transformers' loading."""
        if not self.knows_any((args, kwargs)):
            return func(*args, **kwargs)
        if func.overloadpacket is _aten._to_copy and kwargs.get("device") == _CPU:
            kwargs["device"] = None  # where it seems to be
            if kwargs.get("dtype") in (None, args[0].dtype):
                return _aten.alias.default(args[0])
        with self.refusing_failures(func.overloadpacket, (args, kwargs)):
            return self._run(func, args, kwargs)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        packet = func.overloadpacket
        if packet in _FACTORIES and not func._schema.is_mutable:  # one with `out` changes that
            return self._create(func, args, kwargs)
        if func.is_view or packet in _TURNS or not self.knows_any((args, kwargs)):
            return func(*args, **kwargs)
        if packet in _COPIES and kwargs.get("device") is None:
            return self._copy(func, args, kwargs)
        if packet in _JOINS and not func._schema.is_mutable:
            return self._join(func, args, kwargs)
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

    def _join(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Records that tensors are put one behind the other, or together along a new dimension."""
        tensors, dim = args[0], kwargs.get("dim", args[1] if len(args) > 1 else 0)
        shape: Tensor = func([_shape_of(tensor) for tensor in tensors], dim)
        if not is_large(shape) or any(tensor.dim() == 1 and not len(tensor) for tensor in tensors):
            return self._compute(func, args, kwargs)  # type: ignore[no-any-return]
        self._begin(shape)
        is_new, first = func.overloadpacket is _aten.stack, 0
        for tensor in tensors:
            part = shape.select(dim, first) if is_new else shape.narrow(dim, first, tensor.shape[dim])
            self._change(_aten.copy_.default, (part, tensor), {})
            first += 1 if is_new else tensor.shape[dim]
        return shape

    def _begin(self, shape: Tensor) -> None:
        storage = shape.untyped_storage()
        self.histories[storage] = History(storage.nbytes())

    def _change(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Records an in-place operation. Draws its random numbers now, and updates the working memory."""
        target, *others = args
        storage, part = target.untyped_storage(), StoragePart.of(target)
        if part.may_overlap:
            raise self.refuse("changes a weight through a view that shows elements twice")
        packet, generator = func.overloadpacket, kwargs.pop("generator", None) or torch.default_generator
        func(target, *tree_map(_shape_of, others), **tree_map(_shape_of, kwargs))  # raises if the shapes do not fit
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
        """Updates contents that are in memory, and draws, so that `generator` advances."""
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
        """Runs an operation on replayed contents; its results are ordinary tensors."""
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
        """Returns an argument as it is now: a copy, or a snapshot of an empty tensor."""
        if not isinstance(value, Tensor):
            return value
        if not self.knows(value):
            return value.clone()
        snapshot = self.histories[value.untyped_storage()].snapshot(StoragePart.of(value))
        if snapshot.depth > _DEEPEST:
            raise self.refuse(f"copies weights from one another more than {_DEEPEST} times in a row")
        return snapshot

    def _require_contents(self, values: Any) -> None:
        """Raises CannotDefer for empty tensors without a history, and for conjugate or negative views."""
        for tensor in _tensors(values):
            if not tensor.is_meta:
                continue
            if tensor.untyped_storage() not in self.histories:
                raise self.refuse("computes with tensors on the device meta")
            if tensor.is_conj() or tensor.is_neg():
                raise self.refuse("has a conjugate or negative view of a weight")


class KeepingMemory(TorchFunctionMode):
    """Refuses functions that expose the memory of an empty tensor, or fail because it has none."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls a function of torch, or refuses it."""
        if func in _GIVES_MEMORY_AWAY and self._recording.knows_any(args[:1]):
            raise self._recording.refuse(f"asks for the memory of a weight ({func.__name__})")
        self._recording.is_autocast = torch.is_autocast_enabled("cpu")
        with self._recording.refusing_failures(func, (args, kwargs)):
            return func(*args, **(kwargs or {}))


class SeenOnCpu(TorchFunctionMode):
    """Makes empty tensors answer that they are on the CPU, because `torch.nn.init` skips tensors on `meta`."""

    def __init__(self, knows: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._knows = knows

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls a function of torch, unless it asks for the device of an empty tensor."""
        if func in _ANSWERS and self._knows(args[0]):
            return _ANSWERS[func]
        return func(*args, **(kwargs or {}))


_ANSWERS = {_tensor.is_meta.__get__: False, _tensor.is_cpu.__get__: True, _tensor.device.__get__: _CPU}


def is_large(tensor: Tensor) -> bool:
    """Returns True for a tensor that is large enough to be left empty."""
    return tensor.numel() >= _FEWEST_ELEMENTS


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_iter(values) if isinstance(value, Tensor))


def _shape_of(value: Any) -> Any:
    return torch.empty_like(value, device=_META) if isinstance(value, Tensor) else value


def _without_generator(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Returns the override that drops a generator of the CPU, which `meta` tensors do not accept."""
    return {"generator": None} if "generator" in kwargs else {}
