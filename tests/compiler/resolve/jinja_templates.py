"""Random sets of templates for the comparison with Jinja2: statements, inheritance and expressions of all kinds."""

from hypothesis import strategies as st

VARIABLES = {
    "a": 1,
    "b": "x y",
    "c": [3, 1, 2],
    "d": {"k": 1, "z": "w"},
    "e": None,
    "f": 2.5,
    "g": [{"n": 1, "s": [{"n": 2, "s": []}]}, {"n": 3, "s": []}],
}
_NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "v", "w", "i"])
_BLOCKS = st.sampled_from(["p", "q", "r"])
_TEXTS = st.sampled_from(["t", "k: v", " ", "- 1", "x\n", "\n", "\n\n", "  y", "{", "}", "#", "é", "a: 'b'\n"])
_ATOMS = st.one_of(
    _NAMES,
    st.sampled_from(["1", "2", "0", "2.5", "1e3", "'s'", '"q\\n"', "true", "none", "[1, 2]", "(1,)", "{'k': 2}", "()"]),
    st.sampled_from(
        ["u", "d.k", "d['z']", "c[0]", "c[1:]", "c[::-1]", "c[9]", "d.missing", "b[1]", "b[:2]", "'%s' % a"]
    ),
)
_FILTERS = st.sampled_from(
    [
        *("upper", "length", "join(',')", "default(7)", "d('z', true)", "trim", "first", "last", "sort", "list", "int"),
        *("string", "replace('x', 'y')", "indent(2)", "indent(2, true)", "round", "sum", "reverse | list", "tojson"),
        *("map('string') | join", "select('odd') | list", "batch(2) | list", "abs", "title", "unique | list", "min"),
        *(
            "items | list",
            "dictsort",
            "center(9)",
            "wordwrap(3)",
            "truncate(3)",
            "e",
            "format(1)",
            "float",
            "attr('k')",
        ),
    ]
)
_TEXT_FILTERS = st.sampled_from(["upper", "indent(2)", "trim", "replace('x', 'y')"])
_TESTS = st.sampled_from(
    [
        *("defined", "undefined", "none", "number", "string", "odd", "even", "mapping", "sequence", "iterable"),
        *("eq 1", "in [1, 2]", "divisibleby 2", "sameas none", "lt(3)", "callable", "not none", "not defined", "true"),
    ]
)
_BINARY = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"]
)
_CALLS = st.sampled_from(
    [
        *("range(3)", "range(1, 6, 2)", "dict(x=1)", "'ab'.upper()", "c.index(1)", "d.get('k')", "d.items()", "m(1)"),
        *(
            "m(a, k=2)",
            "'{}-{}'.format(a, b)",
            "joiner(',')",
            "namespace(x=1).x",
            "d.keys() | list",
            "b.split()",
            "m()",
        ),
        *(
            "'a' 'b'",
            "cycler(1, 2).next()",
            "'x' * 3",
            "loop.index",
            "loop.last",
            "super()",
            "self.p()",
            "ns.x",
            "caller()",
        ),
    ]
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} {} {}".format, inner, _BINARY, inner),
        st.builds("{} | {}".format, inner, _FILTERS),
        st.builds("({})".format, inner),
        st.builds("not {}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{} is {}".format, inner, _TESTS),
        st.builds("{} if {} else {}".format, inner, inner, inner),
        st.builds("{} if {}".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{} < {} <= {}".format, inner, inner, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(_ATOMS, _CALLS), _larger, max_leaves=5)
_LINES = st.sampled_from(["-- ", "  -- ", "<< ", ">> "])
_OPEN, _CLOSE = st.sampled_from(["{% ", "{%- ", "{%+ "]), st.sampled_from([" %}", " -%}", " %}\n", " +%}\n", "%}"])


@st.composite
def _statement(draw: st.DrawFn, words: str) -> str:
    """A statement in one of its forms: on a line of its own, or between delimiters."""
    if draw(st.booleans()):
        return f"\n{draw(_LINES)}{words}\n"
    return f"{draw(_OPEN)}{words}{draw(_CLOSE)}"


@st.composite
def _print(draw: st.DrawFn) -> str:
    expression = draw(EXPRESSIONS)
    form = draw(st.sampled_from(["{{{{ {} }}}}", "{{{{- {} -}}}}", "\n== {}\n", "\n=> {}\n"]))
    return form.format(expression)


@st.composite
def _simple(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["set", "include", "include_list", "import", "from", "ns", "comment", "raw", "unpack"]))
    if kind == "comment":
        return draw(st.sampled_from(["{# c #}", "{#- c -#}\n", "\n## c\n", "{# c #}\n", " ## c\n"]))
    if kind == "raw":
        return "{% raw %}{{ x }}{% endraw %}\n"
    words = {
        "set": f"set {draw(_NAMES)} = {draw(EXPRESSIONS)}",
        "include": draw(st.sampled_from(["include 'one'", "include 'no' ignore missing"])),
        "include_list": draw(st.sampled_from(["include ['no', 'one']", "include 'no'", "include a"])),
        "import": draw(st.sampled_from(["import 'lib' as lib", "import 'lib' as lib with context"])),
        "from": draw(st.sampled_from(["from 'lib' import m", "from 'lib' import m as v, x", "from 'lib' import y"])),
        "ns": draw(st.sampled_from(["set ns = namespace(x=1)", "set ns.x = 2", "set ns.y = ns.x + 1"])),
        "unpack": "set v, w = c[:2]",
    }[kind]
    return draw(_statement(words))


@st.composite
def _compound(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    kind = draw(st.sampled_from(["if", "for", "block", "filter", "set", "with", "macro", "call", "header"]))
    body, other = draw(inner), draw(inner)
    if kind == "if":
        middle = draw(_statement(f"elif {draw(EXPRESSIONS)}")) + other if draw(st.booleans()) else ""
        start, end = draw(_statement(f"if {draw(EXPRESSIONS)}")), draw(_statement("endif"))
        return f"{start}{body}{middle}{draw(_statement('else'))}{other}{end}"
    if kind == "for":
        head = draw(
            st.sampled_from(
                [
                    *("for i in c", "for i in range(3)", "for v, w in d.items()", "for i in c if i > 1", "for i in []"),
                    *("for i in u", "for i in b", "for i in g recursive", "for i in c | sort", "for v in d"),
                ]
            )
        )
        loop = draw(st.sampled_from(["", "{{ loop.index }}", "{{ loop.first }}{{ loop.cycle('o', 'e') }}"]))
        loop += "{{ i.n }}{{ loop(i.s) }}{{ loop.depth }}" if "recursive" in head else ""
        otherwise = draw(_statement("else")) + other if draw(st.booleans()) else ""
        return f"{draw(_statement(head))}{loop}{body}{otherwise}{draw(_statement('endfor'))}"
    if kind == "header":
        return f"\n{draw(st.sampled_from(['', '  ']))}[{draw(_BLOCKS)}{draw(st.integers(0, 99))}]\n{body}\n"
    head, end = {
        "block": (f"block {draw(_BLOCKS)}{draw(st.sampled_from(['', ' scoped']))}", "endblock"),
        "filter": (f"filter {draw(_TEXT_FILTERS)}", "endfilter"),
        "set": (f"set {draw(_NAMES)}{draw(st.sampled_from(['', ' | upper']))}", "endset"),
        "with": (f"with v = {draw(EXPRESSIONS)}, w = a", "endwith"),
        "macro": (draw(st.sampled_from(["macro m(i, k=3)", "macro m()", "macro m(i, v)"])), "endmacro"),
        "call": (draw(st.sampled_from(["call m(1)", "call(w) m(a)", "call m()"])), "endcall"),
    }[kind]
    return f"{draw(_statement(head))}{body}{draw(_statement(end))}"


_BODIES = st.recursive(
    st.one_of(_TEXTS, _print(), _simple()),
    lambda inner: st.one_of(_compound(inner), st.lists(inner, min_size=1, max_size=3).map("".join)),
    max_leaves=8,
)


@st.composite
def template_sets(draw: st.DrawFn) -> dict[str, str]:
    """`main` and what it extends, includes and imports."""
    texts = {
        "lib": "-- macro m(i=1, k=2)\n<{{ i }}{{ k }}>\n-- endmacro\n-- set x = 5\n" + draw(_TEXTS),
        "one": draw(_BODIES),
        "two": draw(_TEXTS) + draw(_print()),
        "base": "A" + draw(_BODIES) + "\n-- block p\nP{{ a }}\n-- endblock\nB\n[q]\nQ\n  [r]\n  R\nC\n",
        "middle": "-- extends 'base'\n-- block p\n== super()\nM\n-- endblock\n" + draw(_BODIES),
    }
    parent = draw(st.sampled_from([None, "base", "middle"]))
    head = f"-- extends '{parent}'\n" if parent else draw(_TEXTS)
    return {**texts, "main": head + draw(_BODIES)}
