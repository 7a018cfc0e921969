"""Texts made to take forever end with a finding, in a bounded number of steps."""

import time

import pytest
from fgc.ir import graph_to_json

from tests.corpus.case import compile_texts

_LIMIT_S = 20.0  # of processor time, on a busy machine; each takes about a second on a quiet one


def nested(opening: str, closing: str, depth: int = 10_000) -> str:
    return f"a: {opening * depth}1{closing * depth}\n"


def _merge(number: int) -> str:
    return f"a{number}: &a{number} {{<<: [{f'*a{number - 1}, ' * 9}]}}\n"


def _macro(number: int) -> str:
    return f"-- macro m{number}()\n== m{number + 1}() ~ m{number + 1}()\n-- endmacro\n"


_TEXTS = {
    "parentheses": nested("{{ " + "(" * 9_999 + "(", ")" * 10_000 + " }}", 1),
    "yaml lists": nested("[", "]"),
    "yaml mappings": nested("{x: ", "}"),
    "an open bracket in every column": "[" * 100_000,
    "block sequences": "a:\n" + "- " * 10_000 + "1\n",
    "blocks": "".join(f"-- block b{i}\n" for i in range(10_000)),
    "headers": "".join(" " * i + f"[b{i}]\n" for i in range(2_000)),
    "conditions": "-- if true\n" * 10_000 + "-- endif\n" * 10_000,
    "negations": "a: {{ " + "not " * 10_000 + "x }}\n",
    "sums": "a: {{ " + "1 + " * 10_000 + "1 }}\n",
    "filters": "a: {{ 1" + "|string" * 10_000 + " }}\n",
    "prints without end": "a: {{ x\n" * 20_000,
    "comments without end": "a: {# x\n" * 20_000,
    "spaces": "a: 1" + " " * 500_000 + "#\n" + " " * 500_000 + "x\n",
    "sigil and spaces": "--for" + " " * 100_000 + "x\n--else x" + " " * 100_000 + "y z\n--set x" + " " * 100_000 + "\n",
    "bracket and spaces": "[" + " " * 100_000 + "x\nx" + " " * 100_000 + "y]\nx" + "-" * 100_000 + "\n",
    "options without end": "--block x\n" * 10_000,
    "items that look like statements": "- if x\n\n" * 20_000,
    "blank lines and a dash": "\n" * 100_000 + "- endif\n- endfor\n",
    "lines of brackets": "-- block x\n-- endblock\na: [\n" + "  [x,\n  y],\n" * 10_000 + "]\n",
    "ends of another kind": "-- for x in y\n-- endif\n" * 10_000,
    "calls without their sign": "a: " + "call:" * 20_000 + "(\n    b: 1\nc:" + " " * 100_000 + "!call:\n    d: 1\n",
    "numbers with commas": "a: [" + ("1" * 900 + ",x, ") * 500 + "]\n",
    "quotes that end": "".join(f'a{i}: {"1/x " * 400}"\n' for i in range(100)),
    "hashes": " #" * 300_000 + "\n",
    "dashes": "\n#" + "-" * 500_000 + "\n",
    "aliases without anchor": "".join(f"a{i}: *b{i}\n" for i in range(5_000)),
    "aliases of aliases": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 25)),
    "merges of merges": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 9}]}}\n" for i in range(1, 25)),
    "macros that double": "".join(f"-- macro m{i}()\n== m{i + 1}() ~ m{i + 1}()\n-- endmacro\n" for i in range(40))
    + "== m0()",
    "texts that double": "-- set ns = namespace(s='x')\n-- for i in range(99)\n-- set ns.s = ns.s ~ ns.s\n-- endfor\n",
    "filler text": "a: {{ lipsum(n=100000) }}\n",
    "formats": "a: {{ '{:>1000000000}'.format(1) }}\nb: {{ '{:{}}'.format(1, 10**9) }}\n",
    "widths": "a: {{ 'x' | center(width=10**9) }}\nb: {{ 'x'.zfill(10**9) }}\nc: {{ 2.5 | round(10**9, 'ceil') }}\n",
    "replacements": "a: {{ ('x' * 100000).replace('x', 'y' * 100000) }}\n",
    "integers": "a: {{ 10 ** 1000000 }}\nb: " + "9" * 100_000 + "\n",
    "loops": "-- for i in range(99999)\n-- for j in range(99999)\n-- endfor\n-- endfor\n",
    "searches": "-- set l = range(100000) | list\n-- for i in range(9000)\n-- set x = -1 in l\n-- endfor\n",
}


@pytest.mark.parametrize("name", _TEXTS)
def test_it_ends(name: str) -> None:
    start = time.process_time()
    compilation = compile_texts({"main.yaml": _TEXTS[name]})
    graph_to_json(compilation.graph)
    assert time.process_time() - start < _LIMIT_S
