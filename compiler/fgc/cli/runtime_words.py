"""The options of programs of the runtime, read from their files: the compiler imports none of them."""

import ast
from collections.abc import Iterator

from fgc.installed import package_folder
from fgc.patterns import regex

_OPTION = regex(r"--?[a-z][a-z0-9-]*")


def option_words(package: str, file: str) -> list[str]:
    """The options that a file adds to an argparse parser; none if the package is not installed."""
    folder = package_folder(package)
    if folder is None or not (folder / file).is_file():
        return []
    tree = ast.parse((folder / file).read_text(encoding="utf-8"))
    return sorted(set(_options(tree)))


def _options(tree: ast.Module) -> Iterator[str]:
    """Words such as `--url` that stand first in a call, as in `add("--url", ...)`, and their opposites."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        names = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        options = [name for name in names if isinstance(name, str) and _OPTION.fullmatch(name)]
        yield from options
        if any(keyword.arg == "action" and "BooleanOptional" in ast.dump(keyword.value) for keyword in call.keywords):
            yield from (f"--no-{name.removeprefix('--')}" for name in options)
