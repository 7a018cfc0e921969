"""Says what the classes and modules of a generated package are called."""

from msgspec import Struct

from fgc.emit.model.components import Definition
from fgc.emit.model.values import PartConstruction

CAUSAL_LM = "ForCausalLM"


class ModelNames(Struct, frozen=True):
    """Holds the names of the generated classes and files; `prefix` is replaced by `title` in the skeleton's names."""

    package: str
    title: str
    prefix: str

    @staticmethod
    def of(package: str, model: PartConstruction) -> "ModelNames":
        """The names that follow from a package's name and the skeleton's class."""
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
    """`tiny_llama` to `TinyLlama`; numbers stay apart: `gemma3_1b` to `Gemma3_1b`."""
    first, *words = (word.capitalize() for word in package.split("_") if word)
    for word in words:
        first += f"_{word}" if first[-1].isdecimal() and word[0].isdecimal() else word
    return first


def reserved_name(definition: Definition, names: ModelNames) -> str:
    """The name of a definition in the generated file: the skeleton's classes take the model's name."""
    if names.prefix and definition.is_class and definition.name.startswith(names.prefix):
        return names.title + definition.name.removeprefix(names.prefix)
    return definition.name
