"""Gathers the pages of the documentation site: those of `docs/`, and the reference that the code itself holds.

    python docs/site/stage.py docs/site/pages

Commands come from their `--help`, findings from their pages, words of the language and the templates of the library
from the compiler, the Python API from the sources. Nothing is written down twice. `make docs` builds the site.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import black
from fgc.cli.main import command_names
from fgc.diagnostics import codes
from fgc.diagnostics.pages import page_of
from fgc.ide.words import FILTERS, META_KEYS, STATEMENTS, TESTS
from fgc.resolve.usage import usage_of
from fgc.syntax import TAG_KINDS, parse
from fgc.syntax.ast import Block, Extends, Template
from fgc.text import Source

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "stdlib/fgc_stdlib"
HERE = Path(__file__).parent
EXAMPLE = ROOT / "examples/tutorials/tiny_llama/templates/configs/tiny_llama.yaml"
PYTHON_ROOTS = {"fgc": ROOT / "compiler", "fgc_runtime": ROOT / "runtime"}
PUBLIC_MODULES = (
    *("fgc.api", "fgc_runtime.trainers", "fgc_runtime.optim", "fgc_runtime.data", "fgc_runtime.callbacks"),
    *("fgc_runtime.models", "fgc_runtime.generate", "fgc_runtime.checkpoint"),
)
_SHOWN_DECORATORS = ("property", "classmethod", "staticmethod")


def stage(folder: Path) -> None:
    """Writes all pages into a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("site", "internals"))
    shutil.copytree(ROOT / "docs/internals", folder / "internals")
    shutil.copy(ROOT / "CHANGELOG.md", folder / "changelog.md")
    shutil.copy(HERE / "style.css", folder / "style.css")
    _write(folder / "index.md", [_landing()])
    reference = folder / "reference"
    _write(reference / "help.md", _help())
    _write(reference / "words.md", _words())
    _write(reference / "library.md", _library())
    _write(reference / "python.md", _python())
    for name, text in _findings():
        _write(reference / "findings" / name, [text])
    for page in folder.rglob("*.md"):
        page.write_text(_with_site_links(page), encoding="utf-8")


def _write(path: Path, parts: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(part.rstrip() + "\n" for part in parts), encoding="utf-8")


# pages of the reference


def _landing() -> str:
    """Returns the first page, with a configuration, the program that it becomes and a finding put in."""
    text = (HERE / "landing.md").read_text(encoding="utf-8").replace("](../", "](")
    configuration = EXAMPLE.read_text(encoding="utf-8")
    program = _printed("code", str(EXAMPLE))
    tree = ast.parse(program)
    made = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    with TemporaryDirectory() as folder:
        broken = Path(folder) / "broken.yaml"
        broken.write_text(configuration.replace("    lr: 2.0e-3", "    lrr: 2.0e-3"), encoding="utf-8")
        finding = _printed("check", str(broken), "-I", str(EXAMPLE.parents[1]), code=1)
    shown = {"CONFIGURATION": configuration, "PROGRAM": ast.get_source_segment(program, made) or "", "FINDING": finding}
    for name, value in shown.items():
        text = text.replace(f"@{name}@", value.replace(f"{folder}/", "").replace(f"{ROOT}/", "").rstrip())
    return text


def _help() -> Iterator[str]:
    yield "# `--help` of every command\n\n[The command line](commands.md) explains them."
    for name in command_names():
        yield f"## fgc {name}\n\n```text\n{_printed(name, '--help').rstrip()}\n```"


def _findings() -> Iterator[tuple[str, str]]:
    rows = []
    for entry in codes.CODES.values():
        page = page_of(entry.code)
        rows.append(f"| {f'[{entry.code}]({entry.code}.md)' if page else entry.code} | {entry.title} |")
        if page:
            yield f"{entry.code}.md", page
    head = (
        "# Findings\n\n`fgc explain FGC204` prints the page of a finding in a terminal.\n\n| code | says |\n|---|---|"
    )
    yield "index.md", "\n".join([head, *rows])


def _words() -> Iterator[str]:
    yield "# Words of the language\n\n[The language](language.md) says what they mean."
    yield "## Tags\n\n" + _listed(f"!{kind}" for kind in TAG_KINDS)
    yield "## Statements\n\n" + _listed(STATEMENTS)
    yield "## Filters\n\n" + _listed(FILTERS) + "\n\nThose of Jinja2 do what Jinja2's documentation says."
    yield "## Tests\n\n" + _listed(TESTS)
    yield "## Keys of `meta.yaml`\n\n" + _listed(sorted(META_KEYS))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _library() -> Iterator[str]:
    yield (
        "# Templates of the library\n\nExtend or include them by these names. A block can be overridden. An option is "
        "a variable that takes a default when nobody sets it."
    )
    for path in sorted(LIBRARY.rglob("*.yaml")):
        name = path.relative_to(LIBRARY).as_posix()
        text = path.read_text(encoding="utf-8")
        yield f"## {name}\n\n{_comment(text)}"
        file = parse(Source(name, text)).value
        for template in (file.main, *file.parts):
            facts = list(_facts(template))
            if facts:
                part = "" if template is file.main else f"Inline template `{template.name}`\n\n"
                yield part + "\n".join(f"- {fact}" for fact in facts)


def _comment(text: str) -> str:
    """Returns the comment that a template opens with, as Markdown: what is indented in it is code."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("##"):
            break
        lines.append(line.removeprefix("##").removeprefix(" "))
    shown, is_code = [], False
    for line in lines:
        if line.startswith("  ") != is_code and line.strip():
            shown.append("```" if is_code else "\n```yaml")
            is_code = not is_code
        shown.append(line)
    return "\n".join([*shown, *(["```"] if is_code else [])])


def _facts(template: Template) -> Iterator[str]:
    usage = usage_of(template)
    for statement in template.body:
        if isinstance(statement, Extends):
            span = statement.parent.span
            yield f"extends `{span.source.text[span.start : span.end]}`"
    if template.blocks:
        yield "blocks: " + _listed(name + _kind(block) for name, block in template.blocks.items())
    optional = sorted(usage.optional)
    if optional:
        yield "options: " + _listed(optional)
    attributes = sorted({f"{base}.{name}" for base, name in usage.attribute_sets})
    if attributes:
        yield "sets " + _listed(attributes)


def _kind(block: Block) -> str:
    return " (required)" if block.is_required else ""


# the Python API


def _python() -> Iterator[str]:
    yield "# The Python API\n\nWhat configurations call and [notebooks import](../guide/python.md)."
    for module in PUBLIC_MODULES:
        tree = _tree(module)
        yield f"## {module}\n\n{ast.get_docstring(tree) or ''}"
        for name in _public_names(tree):
            found = _defined(module, tree, name)
            if found is not None:
                yield from _described(name, found)


def _public_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def _file(module: str) -> Path:
    path = PYTHON_ROOTS[module.partition(".")[0]] / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _defined(module: str, tree: ast.Module, name: str) -> ast.ClassDef | ast.FunctionDef | None:
    """Returns the class or function that a name of a module stands for, through its imports; None for other values."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PYTHON_ROOTS:
            for alias in node.names:
                if (alias.asname or alias.name) == name and node.module != module:
                    return _defined(node.module or "", _tree(node.module or ""), alias.name)
    return None


def _described(name: str, node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef):
        yield f"### {name}\n\n{_fenced(_stub(node))}\n\n{_docstring(node)}"
        return
    yield f"### {name}\n\n{_fenced(_class_stub(node))}\n\n{_docstring(node)}"
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_") and ast.get_docstring(item):
            yield f"#### {name}.{item.name}\n\n{_fenced(_stub(item))}\n\n{_docstring(item)}"


def _class_stub(node: ast.ClassDef) -> str:
    """Returns a class as a stub has it: its bases, its fields, and how it is made."""
    makers = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    head = ", ".join(ast.unparse(base) for base in node.bases)
    body = [_stub(item) for item in makers] or fields or ["..."]
    return f"class {node.name}{f'({head})' if head else ''}:\n" + textwrap.indent("\n".join(body), "    ")


def _stub(node: ast.FunctionDef) -> str:
    marks = [f"@{ast.unparse(mark)}\n" for mark in node.decorator_list if ast.unparse(mark) in _SHOWN_DECORATORS]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{''.join(marks)}def {node.name}({ast.unparse(node.args)}){returns}: ..."


def _fenced(code: str) -> str:
    return f"```python\n{black.format_str(code, mode=black.Mode(is_pyi=True, line_length=88)).rstrip()}\n```"


def _docstring(node: ast.ClassDef | ast.FunctionDef) -> str:
    return ast.get_docstring(node) or ""


# what all pages share


def _printed(*words: str, code: int = 0) -> str:
    """Returns what `fgc` prints for a command line, findings included.

    Raises:
        RuntimeError: it ended with another code; with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "fgc", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    )
    if done.returncode != code:
        raise RuntimeError(f"fgc {' '.join(words)}: {done.stderr}")
    return done.stdout + (done.stderr if code else "")


_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)\s#]+)(#[^)\s]*)?\)")


def _with_site_links(page: Path) -> str:
    """Returns a page in which names of files that are not on the site lead nowhere."""
    text = page.read_text(encoding="utf-8")
    return _LINK.sub(lambda match: match[0] if (page.parent / match[2]).exists() else match[1], text)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
