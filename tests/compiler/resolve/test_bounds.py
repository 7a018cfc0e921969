"""Whatever a template asks for, its evaluation ends soon, in little memory, with a finding at the statement."""

import subprocess
import sys
import time

import pytest
from fgc.resolve.bounds import MAX_EXPANDED_SIZE, expanded_size

from tests.corpus.case import compile_texts

_DOUBLED = "-- set ns = namespace(v=['x'])\n-- for i in range(40)\n-- set ns.v = [ns.v, ns.v]\n-- endfor\na: {{ %s }}\n"
_USES = [
    *("ns.v", "ns.v | string", "ns.v | tojson", "ns.v | toyaml", "ns.v == ns.v", "ns.v < ns.v", "ns.v in [ns.v]"),
    *("[ns.v, ns.v] | sort", "[ns.v] | unique | list", "ns.v | join", "ns.v | pprint", "'%s' % (ns.v,)", "repr(ns.v)"),
    *("'{}'.format(ns.v)", "[ns.v].index(1)", "ns.v ~ ''", "ns.v is eq ns.v", "[[ns.v]] | map('string') | list"),
    *("dict(a=ns.v) | dictsort", "[1] | replace(ns.v, 1)", "[1, ns.v].count(ns.v)"),
]
_SIZES = [
    *(
        "'{:>2000000000}'.format(1)",
        "'%2000000000d' % 1",
        "'%.2000000000f' | format(1.0)",
        "'x' | indent(2000000000, true)",
    ),
    *("[1] | batch(900000000, 'x') | list", "'\\t\\t'.expandtabs(1500000000)", "(1).to_bytes(2000000000, 'big')"),
    *("9 ** (9 ** 9)", "'x' * 2000000000", "range(10000000000) | list", "'a'.encode()", "('%s' * 9).__class__"),
    *("['x'] | map('center', 1500000000) | list", "'x'.ljust(1500000000)", "'x' | center(1500000000)"),
    *("1.5 | round(2000000000)", "[[1] * 999999] * 999999 | length", "'x'.translate({120: 'y' * 900000})"),
    *("(1.5).hex()", "(10).from_bytes('x')", "'x'.maketrans('a', 'b')", "'a' | wordwrap(1, wrapstring='x' * 900000)"),
]


def findings_of(text: str) -> list[str]:
    begin = time.process_time()
    found = compile_texts({"main.yaml": text}).diagnostics
    assert time.process_time() - begin < 10, "a bound is a count, and this net is wide"
    return [finding.code for finding in found if finding.severity.value == "error"]


@pytest.mark.parametrize("use", _USES)
def test_a_value_doubled_by_sharing_is_used_by_nobody(use: str) -> None:
    assert findings_of(_DOUBLED % use) == ["FGC208"]


@pytest.mark.parametrize("expression", _SIZES)
def test_no_expression_makes_something_huge(expression: str) -> None:
    found = findings_of(f"a: {{{{ {expression} }}}}\n")
    assert found in (["FGC208"], ["FGC207"], ["FGC206"]), found


@pytest.mark.parametrize(
    "statements",
    [
        "-- set x = [1]\n-- for i in range(60)\n{{ x.extend(x) }}\n-- endfor\na: {{ x | length }}\n",
        "-- set x = [1]\n{{ x.append(x) }}\na: {{ x }}\n",
        "-- set s = 'a' * 50000\na: {{ s.replace('a', s) | length }}\n",
        "-- set ns = namespace(t=('x',))\n-- for i in range(40)\n-- set ns.t = (ns.t, ns.t)\n-- endfor\n"
        "a: {{ {ns.t: 1} }}\n",
        "-- set ns = namespace(t=('x',))\n-- for i in range(40)\n-- set ns.t = (ns.t, ns.t)\n-- endfor\n"
        "a: {{ {}[ns.t] | default(1) }}\n",
    ],
)
def test_values_that_grow_statement_by_statement_end(statements: str) -> None:
    assert findings_of(statements)[0] == "FGC208"


def test_the_size_of_a_value_counts_what_is_shared() -> None:
    shared = ["abc"]
    assert expanded_size([shared, shared]) == 1 + 2 * (1 + 3)
    assert expanded_size({"k": (1, 2)}) == 1 + 1 + (1 + 1 + 1)
    itself: list[object] = []
    itself.append(itself)
    assert expanded_size(itself) > MAX_EXPANDED_SIZE
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    assert expanded_size(deep) == 50_001


BOUNDED = """
from fgc.pipeline.memory import bounded_memory
try:
    with bounded_memory():
        bytearray(900_000_000)
except MemoryError:
    print("bounded", len(bytearray(900_000_000)))
"""


def test_memory_that_nobody_counted_has_a_bound_too() -> None:
    """In a process of its own: one that trained before keeps the memory that it freed."""
    done = subprocess.run([sys.executable, "-c", BOUNDED], capture_output=True, text=True)
    assert done.stdout == "bounded 900000000\n", done.stderr


DOUBLED = "-- set ns = namespace(v=%s)\n-- for i in range(40)\n-- set ns.v = %s\n-- endfor\n%s\n"


@pytest.mark.parametrize(
    "text",
    [
        DOUBLED % ("['x']", "[ns.v, ns.v]", "-- include ns.v"),
        DOUBLED % ("['x']", "[ns.v, ns.v]", "-- import ns.v as m"),
        "-- include ['a'] * 900000 ignore missing\n",
        DOUBLED % ("project_dir", "joinpath(ns.v, ns.v)", "a: {{ ns.v }}"),
        DOUBLED % ("getenv('A')", "getenv('B', ns.v ~ ns.v)", "a: {{ ns.v }}"),
        DOUBLED.replace("40", "5000") % ("project_dir", "dirname(ns.v)", "a: {{ ns.v }}"),
        "a0: &a0 {k0: 1}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}, k{i}: 1}}\n" for i in range(1, 1000)),
    ],
)
def test_names_expressions_and_merges_that_grow_end(text: str) -> None:
    assert set(findings_of(text)) & {"FGC206", "FGC208"}


@pytest.mark.parametrize("operation", ["ns.v + ns.v", "ns.v * 2", "1 if ns.v > 2 else 2"])
def test_an_option_is_computed_with_as_often_as_a_program_can(operation: str) -> None:
    text = DOUBLED.replace("40", "3000") % ("n", operation, "a: {{ ns.v % 7 }}")
    begin = time.process_time()
    compile_texts({"main.yaml": text}, {"n": 3})
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\r" * 20_000,
        "a: 1\u2028" * 20_000,
        "a: {{ " + "1<" * 20_000 + "1 }}\n",
        "a: {{ " + "'a'~" * 20_000 + "'b' }}\n",
    ],
)
def test_a_long_text_takes_no_quadratic_time(text: str) -> None:
    begin = time.process_time()
    compile_texts({"main.yaml": text})
    assert time.process_time() - begin < 10, "it took 16 s or more"


@pytest.mark.parametrize(
    "text",
    ["0" + "7" * 9000, ":".join(["59"] * 3000), "0x" + "f" * 9000, "9" * 9000, "!!int '0b1" + "1" * 10_001 + "'"],
)
def test_an_integer_that_python_cannot_print_is_a_finding(text: str) -> None:
    assert findings_of(f"a: {text}\nb: 1\n") == ["FGC307"]
