"""Configuration classes of transformers 5: each subclass of `PreTrainedConfig` becomes a dataclass by being one.

`PreTrainedConfig.__init_subclass__` makes a dataclass with keywords only of it, whose constructor takes any further
keyword; `@strict` adds checks of the values and changes no parameter. Read in transformers 5.20 to 5.23.
"""

from collections.abc import Sequence
from typing import TypeVar

from fgc.signatures.values import ClassValue, NativeValue

_CONFIG = "transformers.configuration_utils.PreTrainedConfig"
_Base = TypeVar("_Base", bound=ClassValue | NativeValue | None)


def config_index(classes: Sequence[ClassValue | NativeValue | None]) -> int | None:
    """Returns where `PreTrainedConfig` stands in an order of look-up."""
    for index, base in enumerate(classes):
        if isinstance(base, ClassValue) and full_name(base) == _CONFIG:
            return index
    return None


def is_config(classes: Sequence[ClassValue | NativeValue | None] | None) -> bool:
    """Returns True if classes in their order of look-up are those of a configuration that is a dataclass."""
    index = config_index(classes or ())
    base = None if classes is None or index is None else classes[index]
    return isinstance(base, ClassValue) and any(_last(node) == "dataclass" for node in base.node.decorator_list)


def without_config(classes: Sequence[_Base]) -> Sequence[_Base]:
    """The classes before `PreTrainedConfig`, whose way of making subclasses is known; all, if it is not among them."""
    return classes[: config_index(classes)] if is_config(classes) else classes


def full_name(cls: ClassValue) -> str:
    """A class's name with that of its module."""
    return f"{cls.module.name}.{cls.node.name}"


def _last(node: object) -> str:
    node = getattr(node, "func", node)
    return str(getattr(node, "attr", getattr(node, "id", "")))
