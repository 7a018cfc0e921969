"""Writes the `requirements.txt` of a bundle: the packages that its files import, the same on every machine."""

import ast
import sys
from collections.abc import Collection, Iterable, Iterator

REQUIREMENTS = "requirements.txt"
_DISTRIBUTIONS = {  # packages whose installed name differs from the imported one
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "faiss": "faiss-cpu",
    "jinja2": "Jinja2",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
_PARTS_OF_OTHERS = {"torch.utils.tensorboard": "tensorboard"}  # modules that need another package


def requirements_text(texts: Iterable[str], own: Collection[str]) -> str:
    """Returns the packages that Python texts import, one per line; `own` are packages of the bundle itself.

    A package that is imported only inside functions may never be needed, so it is written as a comment.
    """
    needed: set[str] = set()
    later: set[str] = set()
    for text in texts:
        tree = ast.parse(text)
        needed |= set(_imported(tree.body))
        later |= {name for node in ast.walk(tree) for name in _packages(node)}
    known = {*sys.stdlib_module_names, *own}
    lines = sorted(_DISTRIBUTIONS.get(name, name) for name in needed - known)
    optional = sorted(_DISTRIBUTIONS.get(name, name) for name in later - needed - known)
    return "".join(f"{line}\n" for line in [*lines, *(f"# {name}  only for some options" for name in optional)])


def _imported(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yields the packages that are imported whenever the module is."""
    for node in body:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Try():
                continue
            case ast.If() | ast.With() | ast.ClassDef():
                yield from _imported(node.body)
            case _:
                yield from _packages(node)


def _packages(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield _PARTS_OF_OTHERS.get(node.module) or node.module.partition(".")[0]
