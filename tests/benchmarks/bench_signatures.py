"""Calls of callables of many packages: what `fgc check` says of them, and what Python says.

    python -m tests.benchmarks.bench_signatures                          the list beside this file
    python -m tests.benchmarks.bench_signatures --sample 20 torch.nn     20 public callables of a module, drawn
    python -m tests.benchmarks.bench_signatures --python ENV/bin/python  in an environment that has more packages

Python's word is `inspect.signature(...).bind` in that environment, and annotations for literals; a right call must have
no finding, a wrong one must have some. Run it with the environment's python: fgc looks where that one looks.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgc.diagnostics import Diagnostic, Severity
from fgc.ir import Call, CallKind, DictNode, Entry, GraphBuilder, Keyword, ListNode, Literal, NodeId, Symbol, Var
from fgc.ir import SymbolKind as Kind
from fgc.pipeline.signatures import check_calls
from fgc.workspace.python_files import PythonFiles
from fgc.workspace.store import FileStore

from tests.benchmarks.living_signatures import ANYTHING
from tests.compiler.emit.graphs import HERE

_LIST = Path(__file__).with_name("callables.txt")
_KINDS = ("keyword", "missing", "surplus", "type")


@dataclass(slots=True)
class Row:
    """The counts of one package."""

    num_callables: int = 0
    num_right: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)


def main() -> int:
    """Print the table; 1 if a right call has a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="MODULE:NAME, or MODULE to draw from (default: the list)")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sample", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--missed", action="store_true", help="list the wrong calls that are not found")
    arguments = parser.parse_args()
    names = arguments.names or _LIST.read_text().split()
    packages: dict[str, list[str]] = {}
    for name in names:
        packages.setdefault(name.partition(":")[0].partition(".")[0], []).append(name)
    rows = {}
    for package, listed in packages.items():
        rows[package] = _row(listed, arguments)
        print(_line(package, rows[package]), flush=True)
        _details(rows[package], arguments.missed)
    print(_line("all", _sum(rows.values())))
    return int(any(row.errors or row.warnings for row in rows.values()))


def _row(names: list[str], arguments: argparse.Namespace) -> Row:
    row, files = Row(), PythonFiles(Path.cwd(), FileStore())
    for told in _told(names, arguments):
        if "problem" in told:
            row.unsaid.append(f"{told['name']}: {told['problem']}")
            continue
        row.num_callables += 1
        answer = files.look_up(_symbol(told["name"]))
        if not answer.signatures:
            row.unknown.append(f"{told['name']}: {getattr(answer, 'reason', '') or answer.verdict.value}")
        for call in told["calls"]:
            findings = [item for item in _findings(files, told["name"], call) if item.code != "FGC510"]
            if call["kind"] == "right" and told["is_open"] and any(item.code == "FGC503" for item in findings):
                row.beyond += [f"{told['name']}: {item.message}" for item in findings]
                continue
            _count(row, told["name"], call, findings)
    return row


def _told(names: list[str], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    script = Path(__file__).with_name("living_signatures.py")
    asked = json.dumps({"names": names, "sample": arguments.sample, "seed": arguments.seed})
    command = [arguments.python, str(script)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=600, check=False)
    yield from map(json.loads, done.stdout.splitlines())


def _count(row: Row, name: str, call: dict[str, Any], findings: list[Diagnostic]) -> None:
    kind = call["kind"]
    if kind == "right":
        row.num_right += 1
        for finding in findings:
            told = row.errors if finding.severity is Severity.ERROR else row.warnings
            told.append(f"{name}: {finding.message}")
        return
    row.wrong[kind] += 1
    if findings:
        row.found[kind] += 1
    else:
        given = {key: "?" if value == ANYTHING else value for key, value in call["keywords"].items()}
        row.missed.append(f"{kind}: {name} {call.get('about') or (len(call['positional']), given)}")


def _findings(files: PythonFiles, name: str, call: dict[str, Any]) -> list[Diagnostic]:
    builder = GraphBuilder()
    positional = tuple(_node(builder, value) for value in call["positional"])
    keywords = tuple(Keyword(key, _node(builder, value), HERE) for key, value in call["keywords"].items())
    main = builder.add(Call(_symbol(name), CallKind.SINGLETON, positional, keywords, HERE))
    return check_calls(builder.finish({"main": main}), files)


def _node(builder: GraphBuilder, value: Any) -> NodeId:
    match value:
        case _ if value == ANYTHING:
            return builder.add(Var("anything", None, HERE))
        case list():
            return builder.add(ListNode(tuple(_node(builder, item) for item in value), HERE))
        case dict():
            return builder.add(DictNode(tuple(Entry(k, _node(builder, v), HERE) for k, v in value.items()), HERE))
        case _:
            return builder.add(Literal(value, HERE))


def _symbol(name: str) -> Symbol:
    return Symbol(name, Kind.MODULE, *name.split(":"), HERE)


def _sum(rows: Any) -> Row:
    total = Row()
    for row in rows:
        total.num_callables += row.num_callables
        total.num_right += row.num_right
        total.errors += row.errors
        total.warnings += row.warnings
        total.wrong.update(row.wrong)
        total.found.update(row.found)
        total.unknown += row.unknown
    return total


def _line(package: str, row: Row) -> str:
    parts = [f"{kind} {row.found[kind]}/{row.wrong[kind]}" for kind in _KINDS if row.wrong[kind]]
    false = f"{len(row.errors)} false errors, {len(row.warnings)} false warnings in {row.num_right} right"
    return f"{package:22} {row.num_callables:4} callables, {len(row.unknown):3} unknown; {false}; {', '.join(parts)}"


def _details(row: Row, shows_missed: bool) -> None:
    told = [*(f"FALSE ERROR {text}" for text in row.errors), *(f"false warning {text}" for text in row.warnings)]
    told += [f"beyond what bind knows: {text}" for text in row.beyond]
    told += [f"unknown {text}" for text in row.unknown]
    told += [f"missed {text}" for text in row.missed] if shows_missed else []
    told += [f"Python does not say: {text}" for text in row.unsaid]
    for text in dict.fromkeys(told):
        print(f"    {text}")


if __name__ == "__main__":
    sys.exit(main())
