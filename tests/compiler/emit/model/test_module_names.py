"""The names of a model's modules, read from the constructors of its components."""

from textwrap import dedent

from fgc.emit.model.components import ComponentLibrary, ComponentModule, Definition
from fgc.emit.model.module_names import module_names
from fgc.emit.model.values import PartConstruction
from fgc.ir import Symbol, SymbolKind
from fgc.text import Origin, Source, Span


def names(source: str) -> set[str]:
    """The modules of the class `Part` in a component file."""
    text = dedent(source)
    library = ComponentLibrary(lambda path: Source(path, text, path) if path == "/own/parts.py" else None, ["/own"])
    module = library.find("parts")
    assert isinstance(module, ComponentModule)
    here = Origin(Span(module.source, 0, 0))
    symbol = Symbol(".parts:Part", SymbolKind.COMPONENT, ".parts", "Part", here)
    return module_names(PartConstruction(Definition(module, "Part"), False, (), (), symbol), library)


def test_what_python_itself_computes_is_no_module() -> None:
    source = """
        import copy
        import math as mathematics
        from collections import OrderedDict
        from torch import nn
        from vendor import copy as vendor_copy, sorted

        def dict(): ...

        class Part(nn.Module):
            def __init__(self):
                self.up = nn.Linear(2, 2)
                self.table = copy.deepcopy({})
                self.half = mathematics.sqrt(0.25)
                self.order = OrderedDict()
                self.numbers = list(range(3))
                self.foreign = vendor_copy(self.up)
                self.shadowed = sorted([2, 1])
                self.own = dict()
        """
    modules = {name for name in names(source) if not name.endswith(".**")}
    assert modules == {"up", "foreign", "shadowed", "own"}
