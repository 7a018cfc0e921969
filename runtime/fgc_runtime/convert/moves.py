"""Which tensors make up which: a conversion's plan, all that is wrong with it, and the plan carried out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.tables import Architecture, Group
from fgc_runtime.convert.weights import Weights, named
from fgc_runtime.convert.writer import ShardWriter, Wanted
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
    find = architecture.group_of_ours if is_to_package else architecture.group_of_theirs
    used: set[str] = set()
    for group in dict.fromkeys(map(find, shapes)):
        sources, outputs = ((group.theirs,), group.ours) if is_to_package else (group.ours, (group.theirs,))
        used.update(sources)
        absent = [name for name in sources if name not in weights.tensors]
        plan.missing += absent
        if not absent:
            _add(plan, group, weights, sources, {name: shapes[name] for name in outputs if name in shapes}, dtype)
    _leftovers(plan, weights, used, architecture, tied, ignore)
    return plan


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
    """What will be written, in order."""
    return [wanted for move in plan.moves for wanted in move.written]


def _add(
    plan: Plan,
    group: Group,
    weights: Weights,
    sources: Sequence[str],
    outputs: Mapping[str, Shape],
    dtype: torch.dtype | None,
) -> None:
    infos = [weights.tensors[name] for name in sources]
    have = _joined_shape([info.shape for info in infos], group.transposed and not plan.is_to_package)
    want = _joined_shape(list(outputs.values()), group.transposed and plan.is_to_package)
    if have != want or len(outputs) < (len(group.ours) if plan.is_to_package else 1):
        plan.misshapen.append(f"`{', '.join(sources)}` has the shape {_text(have)}, and {_text(want)} is needed")
        return
    stored = infos[0].dtype
    kept = dtype if dtype is not None and stored.is_floating_point else stored
    written = tuple(Wanted(name, shape, kept) for name, shape in outputs.items())
    plan.moves.append(Move(group, tuple(sources), written))


def _leftovers(
    plan: Plan,
    weights: Weights,
    used: set[str],
    architecture: Architecture,
    tied: Mapping[str, str],
    ignore: Sequence[str],
) -> None:
    """Sort the tensors that no move uses: copies of tied ones, ones to skip, and ones that fit nowhere."""
    group_of = architecture.group_of_ours if plan.is_to_package else architecture.group_of_theirs
    for name in sorted(set(weights.tensors) - used):
        group = architecture.group_of_theirs(name) if plan.is_to_package else architecture.group_of_ours(name)
        own = group.ours[0] if plan.is_to_package else group.theirs
        if own in tied:
            kept = group_of(tied[own])
            plan.copies[name] = kept.theirs if plan.is_to_package else kept.ours[0]
        elif architecture.is_skipped(name) or any(fnmatchcase(name, pattern) for pattern in ignore):
            plan.skipped.append(name)
        else:
            plan.extra.append(name)


def _rearranged(move: Move, weights: Weights, is_to_package: bool) -> Iterator[Tensor]:
    tensors = [weights.read(name) for name in move.sources]
    if not is_to_package:
        joined = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        yield joined.T if move.group.transposed else joined
        return
    whole = tensors[0].T if move.group.transposed else tensors[0]
    yield from torch.split(whole, [wanted.shape[0] for wanted in move.written]) if len(move.written) > 1 else [whole]


def _joined_shape(shapes: Sequence[Shape], transposed: bool) -> Shape:
    """The shape of tensors joined along their first axis; of ones that do not join, of the first."""
    first = shapes[0]
    joined = (sum(shape[0] for shape in shapes), *first[1:]) if len(shapes) > 1 else first
    return tuple(reversed(joined)) if transposed else joined


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
