"""Chooses the names of classes and modules in a generated package."""

from msgspec import Struct

from fgc.emit.model.components import Definition
from fgc.emit.model.values import PartConstruction

CAUSAL_LM = "ForCausalLM"


class ModelNames(Struct, frozen=True):
    """The names of generated classes and files; `title` replaces `prefix` in the skeleton's names."""

    package: str
    title: str
    prefix: str

    @staticmethod
    def of(package: str, model: PartConstruction) -> "ModelNames":
        """Returns the names for a package's name and the skeleton's class."""
        assert isinstance(model.target, Definition), "the model is a component"
        title = class_title(package)
        return ModelNames(package, title, model.target.name.removesuffix(CAUSAL_LM))

    @property
    def config_class(self) -> str:
        return f"{self.title}Config"

    @property
    def causal_lm_class(self) -> str:
        return f"{self.title}ForCausalLM"

    @property
    def base_class(self) -> str:
        return f"{self.title}Model"

    @property
    def config_module(self) -> str:
        return f"configuration_{self.package}"

    @property
    def modeling_module(self) -> str:
        return f"modeling_{self.package}"


def class_title(package: str) -> str:
    """Returns `TinyLlama` for `tiny_llama`; numbers stay apart, as in `Gemma3_1b` for `gemma3_1b`."""
    first, *words = (word.capitalize() for word in package.split("_") if word)
    for word in words:
        first += f"_{word}" if first[-1].isdecimal() and word[0].isdecimal() else word
    return first


def reserved_name(definition: Definition, names: ModelNames) -> str:
    """Returns the name of a definition in the generated file; the skeleton's classes take the model's name."""
    if names.prefix and definition.is_class and definition.name.startswith(names.prefix):
        return names.title + definition.name.removeprefix(names.prefix)
    return definition.name
