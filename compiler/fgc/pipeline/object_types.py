"""Classes that annotations name, and values: what is surely no object of the class, and cannot become one."""

from collections.abc import Sequence

from fgc.ir import DictNode, Literal, Node
from fgc.pipeline.literal_types import article
from fgc.signatures import Meaning, TypeName

_NUMBERS = {"builtins.int", "builtins.float", "builtins.bool", "builtins.complex"}
_TENSORS = {"torch.Tensor", "torch._tensor.Tensor"}
_TEXTS = {"builtins.str", "builtins.bytes"}
_MAPPINGS = {"dict", "Mapping", "MutableMapping", "UserDict", "OrderedDict", "defaultdict"}


def class_excludes(meaning: Meaning, node: Node, kind: str | None) -> str | None:
    """Returns the kind of a literal that is no object of a class, and that no library could make one of."""
    if kind is None or meaning.type is None:
        return None
    bases = set(meaning.type.bases)
    if isinstance(node, DictNode):
        is_plain = not meaning.type.is_open and meaning.type.path is not None
        return kind if is_plain and not {base.rpartition(".")[2] for base in bases} & _MAPPINGS else None
    if kind == "a text" and bases & _TENSORS:
        return kind
    if meaning.type.is_open or bases & (_NUMBERS | _TEXTS):
        return None
    if "__fspath__" in meaning.type.conversions:
        return None if kind == "a text" else kind
    is_native = not any("." in base and not base.startswith("builtins.") for base in bases)
    if meaning.from_one or is_native:
        return None
    return kind if isinstance(node, Literal) or kind == "a list" else None


def object_excluded_by(meaning: Meaning, types: Sequence[TypeName]) -> str | None:
    """Returns the name of a value's types if none of them is of the class."""
    wanted = meaning.type
    if wanted is None or not wanted.bases or not types or any(_may_be(item, wanted) for item in types):
        return None
    return " or ".join(f"{article(item.name)} `{item.name}`" for item in types)


def _may_be(item: TypeName, wanted: TypeName) -> bool:
    if item.is_open or item.path is None or item.name == "None":
        return True  # a class of Python itself: a library may make its object of it
    return wanted.bases[0] in item.bases
