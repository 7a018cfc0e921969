"""Reads the text of a callable as a symbol."""

from fgc.diagnostics import Diagnostic
from fgc.ir import BUILTINS, Symbol, SymbolKind
from fgc.text import Origin


def read_symbol(text: str, origin: Origin) -> tuple[Symbol, Diagnostic | None]:
    """Returns the symbol that a tag names, and a finding if it is wrong. A wrong one is kept as written."""
    container, colon, attribute = text.partition(":")
    if not colon:
        container, attribute = _divided(text)
    symbol = Symbol(text, _kind(container), container, attribute, origin)
    return symbol, _finding(symbol, bool(colon))


def _divided(text: str) -> tuple[str, str]:
    """Returns the container and the attribute of a text without a colon."""
    if text.endswith(".py"):
        return text, ""
    module, _, name = text.rpartition(".")
    return (module, name) if _has_dots_only(text) else ("", text)


def _has_dots_only(text: str) -> bool:
    """Returns True for `torch.nn.SiLU`: a module, and what is in it."""
    first, *rest = text.split(".")
    return bool(rest) and first not in BUILTINS and all(part.isidentifier() for part in (first, *rest))


def _kind(container: str) -> SymbolKind:
    if not container:
        return SymbolKind.BUILTIN
    if container.endswith(".py") or "/" in container:
        return SymbolKind.FILE
    return SymbolKind.COMPONENT if container.startswith(".") else SymbolKind.MODULE


def _finding(symbol: Symbol, has_colon: bool) -> Diagnostic | None:
    text = symbol.text
    help = "write `module:name`, `path/file.py:name`, `.component:name`, or the name of a builtin"
    if ":" in symbol.attribute:
        message = f"`{text}` has more than one `:`"
    elif not has_colon and symbol.kind is SymbolKind.FILE:
        message, help = f"`{text}` is a file without a name in it", f"write `{text}:NAME`"
    elif has_colon and (not symbol.container or not symbol.attribute):
        message = f"`{text}` lacks {'a name behind' if symbol.container else 'a module before'} the `:`"
    elif not all(part.isidentifier() for part in symbol.attribute.split(".")):
        message = f"`{symbol.attribute}` is not a Python name"
        plain = symbol.attribute.strip("()[]{},;.'\"")
        if plain != symbol.attribute and all(part.isidentifier() for part in plain.split(".")):
            help = f"write `{text.removesuffix(symbol.attribute)}{plain}`"
        elif not has_colon and "." in text:
            help = "a module is divided from the name in it by `:`"
    elif symbol.kind in (SymbolKind.MODULE, SymbolKind.COMPONENT) and not _is_module(symbol.container):
        message = f"`{symbol.container}` is not the name of a Python module"
    else:
        return None
    return Diagnostic.at(symbol.origin, "FGC403", message, help=help)


def _is_module(container: str) -> bool:
    names = container.lstrip(".").split(".")
    return all(name.isidentifier() for name in names)
