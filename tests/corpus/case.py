"""A corpus case: one Markdown file with input templates and what every stage should make of them.

A case is a title, fenced inputs (`yaml main.yaml`, further files by name, `json vars`) and fenced expectations
(`document`, `graph`, `diagnostics`). Text between the fences is kept.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgc.diagnostics import Diagnostic, Outcome
from fgc.ir import graph_to_json
from fgc.pipeline import Compilation, compile_template
from fgc.resolve import Facts
from fgc.syntax import ast, parse
from fgc.text import Source, Span

from tests.corpus.python_files import PythonFiles

sys.setrecursionlimit(20_000)  # as the resolver does; Hypothesis wants it unchanged while a test runs
_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)
_EXPECTED = ("document", "graph", "diagnostics")


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs by file name, variables, and expectations by kind."""

    text: str
    files: Mapping[str, str]
    variables: Mapping[str, Any]
    expected: Mapping[str, str]


def read_case(path: Path) -> Case:
    """Read a case. Raises ValueError if it is malformed."""
    text = path.read_text(encoding="utf-8")
    files: dict[str, str] = {}
    variables: dict[str, Any] = {}
    expected: dict[str, str] = {}
    for fence in _FENCE.finditer(text):
        kind, _, name = fence["info"].strip().partition(" ")
        if kind in _EXPECTED and not name:
            expected[kind] = fence["body"]
        elif name == "vars":
            variables = json.loads(fence["body"])
        else:
            files[name] = fence["body"]
    if "main.yaml" not in files or "diagnostics" not in expected:
        raise ValueError(f"{path}: a case has an input `yaml main.yaml` and a block `diagnostics`")
    return Case(text, files, variables, expected)


class Files:
    """Templates that exist only in memory."""

    searchpath = ("templates",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, Outcome[ast.ParsedFile]] = {}

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        if name not in self._texts:
            return Outcome(None)
        outcome = self.parsed(name)
        return Outcome(outcome.value, outcome.diagnostics)

    def exists(self, name: str) -> bool:
        return name in self._texts

    def names(self) -> Iterable[str]:
        return self._texts

    def mentioning(self, word: str) -> Iterable[ast.ParsedFile]:
        return [self.parsed(name).value for name, text in self._texts.items() if word in text]

    def parsed(self, name: str) -> Outcome[ast.ParsedFile]:
        if name not in self._parsed:
            self._parsed[name] = parse(Source(name, self._texts[name]))
        return self._parsed[name]


def compile_texts(texts: Mapping[str, str], variables: Mapping[str, Any] | None = None) -> Compilation:
    """Compile `main.yaml` among texts."""
    files = Files(texts)
    facts = Facts(versions={"python": "3.11.0", "torch": "2.9.0"}, folders={"project_dir": "/project"})
    python = PythonFiles(texts)
    return compile_template(files.parsed("main.yaml"), files, variables or {}, facts, files=python or None)


def results(case: Case) -> dict[str, str]:
    """What the compiler makes of a case, in the form of its expectations."""
    compilation = compile_texts(case.files, case.variables)
    document = compilation.document.text
    return {
        "document": document if document.endswith("\n") or not document else document + "\n",
        "graph": graph_to_json(compilation.graph) + "\n",
        "diagnostics": "".join(f"{show(diagnostic)}\n" for diagnostic in compilation.diagnostics),
    }


def show(diagnostic: Diagnostic) -> str:
    """A finding on one line: place, severity, code, message, then help and related places."""
    head = f"{place(diagnostic.span)} {diagnostic.severity.value} {diagnostic.code} {diagnostic.message}"
    help = [f"help: {diagnostic.help}".replace("\n", " / ")] if diagnostic.help else []
    related = [f"related: {place(item.span)} {item.message}" for item in diagnostic.related]
    return " | ".join([head, *help, *related])


def place(span: Span) -> str:
    first, last = span.first, span.last
    end = f"{last.column}" if last.line == first.line else f"{last.line}:{last.column}"
    return f"{span.source.name}:{first.line}:{first.column}-{end}"


def rewritten(case: Case) -> str:
    """The case's text with its expectations as the compiler meets them now."""
    actual = results(case)

    def replace(fence: re.Match[str]) -> str:
        info = fence["info"].strip()
        return f"{fence['ticks']}{info}\n{actual[info]}{fence['ticks']}" if info in _EXPECTED else fence[0]

    return _FENCE.sub(replace, case.text)
