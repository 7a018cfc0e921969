"""Mutated templates through the whole front end: how many, how fast, with how much memory, and what falls over.

    python -m tests.benchmarks.fuzz_front_end 200000 --seed 1

Seeds are the inputs of the corpus and the conformance cases. Nothing may raise, no run may take longer than the limit,
and every literal piece of a document must equal its source (the document's constructor proves it).
"""

import argparse
import random
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from fgc.diagnostics import render_text
from fgc.ir import graph_to_json

from tests.corpus.case import compile_texts, read_case

ROOT = Path(__file__).parents[1]
_LIMIT_S = 2.0
_SPLICES = (
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "-- ",
        "<< ",
        ">> ",
        "== ",
        "=> ",
        "##",
        "[x]",
        "[y!]",
        "&a ",
        "*a",
        "<<: *a",
        "!call:a:b",
    ),
    *(
        "super()",
        "self.x()",
        "loop",
        "'",
        '"',
        "\\",
        "\n",
        "\t",
        "  ",
        ": ",
        "- ",
        "|",
        ">",
        "{",
        "[",
        "]",
        "}",
        "é",
        "\0",
    ),
    *(
        "-- if x",
        "-- endif",
        "-- for i in c",
        "-- endfor",
        "-- block b",
        "-- endblock",
        "-- set a = 1",
        "include 'main.yaml'",
    ),
    *(
        "| indent(2)",
        "is defined",
        "\n#---- p ----\n",
        "!var ",
        "!!int ",
        "---\n",
        "\r",
        "\u2028",
        "\ufeff",
        "2 ** 99",
        "#",
    ),
)


def seeds() -> list[dict[str, str]]:
    """Sets of templates to begin with."""
    found = [
        dict(read_case(path).files) for path in sorted((ROOT / "corpus").glob("*/*.md")) if path.parent.name != "bounds"
    ]
    for folder in sorted((ROOT / "conformance/cases").iterdir()):
        texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
        if "main.yaml" in texts:
            found.append({name: text for name, text in texts.items() if not name.startswith("expected")})
    return found


def mutate(texts: dict[str, str], others: list[dict[str, str]], dice: random.Random) -> dict[str, str]:
    """A set with one to six changes in one of its files."""
    name = dice.choice(list(texts))
    text = texts[name]
    for _ in range(dice.randint(1, 6)):
        text = _change(text, others, dice)
    return {**texts, name: text[:20_000]}


def _change(text: str, others: list[dict[str, str]], dice: random.Random) -> str:
    at = dice.randint(0, len(text))
    end = min(len(text), at + dice.randint(1, 12))
    match dice.randint(0, 5):
        case 0:
            return text[:at] + text[end:]
        case 1:
            return text[:at] + text[at:end] * 2 + text[end:]
        case 2:
            other = dice.choice(list(dice.choice(others).values()))
            start = dice.randint(0, len(other))
            return text[:at] + other[start : start + dice.randint(1, 60)] + text[at:]
        case 3:
            lines = text.splitlines(keepends=True)
            dice.shuffle(lines)
            return "".join(lines)
        case _:
            return text[:at] + dice.choice(_SPLICES) + text[at:]


def run(count: int, seed: int) -> int:
    """Fuzz, print the numbers, and return how many inputs fell over."""
    dice = random.Random(seed)
    pool = seeds()
    codes: Counter[str] = Counter()
    failures: dict[str, dict[str, str]] = {}
    slowest = 0.0
    memory_at_start = _peak_mb()
    begin = time.process_time()
    for _ in range(count):
        texts = mutate(dice.choice(pool), pool, dice)
        start = time.process_time()
        try:
            compilation = compile_texts(texts, {"a": 1, "c": [1, 2]})
            graph_to_json(compilation.graph)
            render_text(compilation.diagnostics)
            codes.update({diagnostic.code for diagnostic in compilation.diagnostics} or {"clean"})
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures.setdefault(f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}", texts)
        taken = time.process_time() - start
        slowest = max(slowest, taken)
        if taken > _LIMIT_S:
            failures.setdefault(f"slow: {taken:.1f} s", texts)
    total = time.process_time() - begin
    print(f"{count:,} inputs in {total:.0f} s of CPU time, {1000 * total / count:.2f} ms each, at most {slowest:.2f} s")
    print(f"peak memory: {_peak_mb() - memory_at_start:.0f} MB above the {memory_at_start:.0f} MB at the start")
    print(f"seed {seed}; findings: " + ", ".join(f"{code} {number}" for code, number in codes.most_common()))
    for what, texts in failures.items():
        print(f"FAILED {what}\n{texts!r}")
    return len(failures)


def _peak_mb() -> float:
    """The most memory that this process has held."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the random changes (default: 1)")
    arguments = parser.parse_args()
    raise SystemExit(min(run(arguments.count, arguments.seed), 1))
