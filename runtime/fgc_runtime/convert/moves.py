"""Says which tensors make up which: a conversion's plan, all that is wrong with it, and the plan carried out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.tables import Architecture, CountExperts, Group, TensorRule, count_experts, filled
from fgc_runtime.convert.weights import Weights, named
from fgc_runtime.models.shards import ShardWriter, Wanted
from fgc_runtime.models.structure import tied_parameters

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Source tensors that become written ones: the same numbers, joined, divided or transposed."""

    group: Group
    sources: tuple[str, ...]
    written: tuple[Wanted, ...]


@dataclass(slots=True)
class Plan:
    """All moves; `problems` are why they cannot be carried out. `copies` must equal the tensor they are tied to."""

    is_to_package: bool
    moves: list[Move] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        found = list(self.misshapen)
        if self.missing:
            found.append(f"missing {len(self.missing)} tensors: {named(self.missing)}")
        if self.extra:
            found.append(f"{len(self.extra)} tensors fit nowhere: {named(self.extra)} (`--ignore PATTERN` leaves them)")
        return found


def make_plan(
    weights: Weights,
    model: PreTrainedModel,
    architecture: Architecture,
    *,
    is_to_package: bool,
    dtype: torch.dtype | None,
    ignore: Sequence[str] = (),
) -> Plan:
    """The plan to fill `model`, which is on the meta device, from weights of the other naming."""
    plan = Plan(is_to_package)
    tied = tied_parameters(model)
    shapes = {name: tuple(item.shape) for name, item in model.state_dict().items() if name not in tied}
    naming = Naming.of(architecture, weights, is_to_package, model.config.num_hidden_layers)
    uncast = set(model._keep_in_fp32_modules_strict or ())
    used: set[str] = set()
    for group in dict.fromkeys(map(naming.group_in_memory, shapes)):
        sources = group.theirs if is_to_package else group.ours
        used.update(sources)
        absent = [name for name in sources if name not in weights.tensors]
        plan.missing += absent
        if not absent:
            is_cast = uncast.isdisjoint(name.rpartition(".")[2] for name in group.ours)
            _add(plan, group, weights, shapes, dtype if is_cast else None)
    _leftovers(plan, weights, used, naming, tied, ignore)
    return plan


@dataclass(frozen=True, slots=True)
class Naming:
    """The groups of a conversion by names of tensors: those of the source's files, or of the target's model."""

    architecture: Architecture
    weights: Weights
    is_to_package: bool
    num_layers: int
    count: CountExperts

    @classmethod
    def of(cls, architecture: Architecture, weights: Weights, is_to_package: bool, num_layers: int) -> "Naming":
        """The number of experts is that of the tensors in the architecture's files, or of a package's rows."""

        def rows(rule: TensorRule, layer: Sequence[str]) -> int:
            info = weights.tensors.get(filled(rule.ours[0], layer))
            return info.shape[0] if info is not None and info.shape else 0

        count = count_experts(architecture, weights.tensors) if is_to_package else rows
        return cls(architecture, weights, is_to_package, num_layers, count)

    def group_in_memory(self, name: str) -> Group:
        """The group of a tensor of the model to fill; if the files have the package's names, these count."""
        if not self.is_to_package:
            return self.architecture.group_in_memory(name, self.count)
        group = self.architecture.group_of_ours(name, self.count)
        is_renamed = group.in_files and group.theirs[0] not in self.weights.tensors
        return group.unchanged if is_renamed and group.ours[0] in self.weights.tensors else group

    def group_in_files(self, name: str) -> Group:
        """The group of a tensor in the source's files."""
        find = self.architecture.group_of_theirs if self.is_to_package else self.architecture.group_of_ours
        return find(name, self.count)


def carry_out(plan: Plan, weights: Weights, writer: ShardWriter, moved: Callable[[int], None]) -> None:
    """Read, rearrange and write every tensor once; `moved` hears of the bytes."""
    for move in plan.moves:
        for wanted, tensor in zip(move.written, _rearranged(move, weights, plan.is_to_package), strict=True):
            writer.write(wanted.name, tensor.to(wanted.dtype))
            moved(wanted.num_bytes)
    for copy, kept in plan.copies.items():
        if not torch.equal(weights.read(copy), weights.read(kept)):
            raise ConvertError(
                f"`tie_word_embeddings` is true, but `{copy}` differs from `{kept}`: set it to false in config.json, "
                "or remove the tensor that is wrong"
            )


def wanted_of(plan: Plan) -> list[Wanted]:
    """Returns what will be written, in order."""
    return [wanted for move in plan.moves for wanted in move.written]


def _add(plan: Plan, group: Group, weights: Weights, shapes: Mapping[str, Shape], dtype: torch.dtype | None) -> None:
    """Add the move of a group whose sources are all there, or say that its shapes do not fit."""
    sources = group.theirs if plan.is_to_package else group.ours
    targets = group.ours if plan.is_to_package else group.in_memory
    read = [weights.tensors[name].shape for name in sources]
    needed = [shapes[name] for name in targets if name in shapes]
    have, want = (_whole_shape(read, group), _joined(needed)) if plan.is_to_package else _sides(read, needed, group)
    if have != want or len(needed) < len(targets):
        plan.misshapen.append(f"`{_shown(sources)}` has the shape {_text(have)}, and {_text(want)} is needed")
        return
    stored = weights.tensors[sources[0]].dtype
    kept = dtype if dtype is not None and stored.is_floating_point else stored
    names, written = (group.ours, needed) if plan.is_to_package else (group.theirs, _divided(want, group))
    plan.moves.append(
        Move(group, sources, tuple(Wanted(name, shape, kept) for name, shape in zip(names, written, strict=True)))
    )


def _leftovers(
    plan: Plan,
    weights: Weights,
    used: set[str],
    naming: Naming,
    tied: Mapping[str, str],
    ignore: Sequence[str],
) -> None:
    """Sort the tensors that no move uses: copies of tied ones, ones to skip, and ones that fit nowhere."""
    for name in sorted(set(weights.tensors) - used):
        group = naming.group_in_files(name)
        own = group.ours[0] if plan.is_to_package else group.in_memory[0]
        if own in tied:
            kept = naming.group_in_memory(tied[own])
            plan.copies[name] = kept.theirs[0] if plan.is_to_package else kept.ours[0]
        elif naming.architecture.is_skipped(name, naming.num_layers) or any(
            fnmatchcase(name, pattern) for pattern in ignore
        ):
            plan.skipped.append(name)
        else:
            plan.extra.append(name)


def _rearranged(move: Move, weights: Weights, is_to_package: bool) -> Iterator[Tensor]:
    tensors = [weights.read(name) for name in move.sources]
    group = move.group
    if is_to_package:
        whole = _stacked(tensors, group.num_stacked) if group.num_stacked else _cat(tensors)
        whole = whole.mT if group.transposed else whole
        yield from (
            torch.split(whole, [wanted.shape[0] for wanted in move.written]) if len(move.written) > 1 else [whole]
        )
        return
    whole = _cat(tensors).mT if group.transposed else _cat(tensors)
    if not group.num_stacked:
        yield from (
            torch.split(whole, [wanted.shape[0] for wanted in move.written]) if len(move.written) > 1 else [whole]
        )
        return
    for expert in whole:
        yield from expert.chunk(len(group.theirs) // group.num_stacked)


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _stacked(tensors: Sequence[Tensor], num_stacked: int) -> Tensor:
    """The tensors of each expert joined along their first axis, and these stacked along a new one."""
    each = len(tensors) // num_stacked
    return torch.stack([_cat(tensors[start : start + each]) for start in range(0, len(tensors), each)])


def _whole_shape(theirs: Sequence[Shape], group: Group) -> Shape:
    """The shape in a package of the architecture's tensors together; of ones that do not fit, of the first."""
    if not group.num_stacked:
        return _turned(_joined(theirs), group)
    each = len(theirs) // group.num_stacked
    experts = [_joined(theirs[start : start + each]) for start in range(0, len(theirs), each)]
    is_even = all(shape == experts[0] for shape in experts)
    return _turned((group.num_stacked, *experts[0]) if is_even else experts[0], group)


def _sides(ours: Sequence[Shape], needed: Sequence[Shape], group: Group) -> tuple[Shape, Shape]:
    """The shapes of a package's tensors together, and of what the architecture's class has."""
    have = _joined(ours)
    return (have, _joined(needed)) if group.in_files else (_turned(have, group), _joined(needed))


def _divided(whole: Shape, group: Group) -> list[Shape]:
    """The shapes of the architecture's tensors, of the one that they are together in a package or in memory."""
    if not group.num_stacked:
        return [whole] if len(group.theirs) == 1 else [(whole[0] // len(group.theirs), *whole[1:])] * len(group.theirs)
    _, rows, *rest = _turned(whole, group)
    each = len(group.theirs) // group.num_stacked
    return [(rows // each, *rest)] * len(group.theirs)


def _joined(shapes: Sequence[Shape]) -> Shape:
    """The shape of tensors joined along their first axis; of ones that do not join, of the first."""
    first = shapes[0] if shapes else ()
    is_even = all(shape[1:] == first[1:] for shape in shapes)
    return (sum(shape[0] for shape in shapes), *first[1:]) if len(shapes) > 1 and is_even else first


def _turned(shape: Shape, group: Group) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if group.transposed else shape


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, ..., {names[-1]}"


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
