"""Whatever a template holds: parsing, resolving and composing give a result and findings, and never raise."""

from fgc.diagnostics import render_text
from fgc.ir import graph_to_json
from fgc.syntax import parse
from fgc.text import Source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpus.case import compile_texts

_WORDS = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "#}", "-- ", "<< ", ">> ", "== ", "=> ", "##", " # ", "\n", "\n\n"),
        *("  ", "\t", "[a]", "[b!]", "[1]", "if", "else", "endif", "for", "in", "endfor", "block"),
        *("endblock", "set", "endset", "=", "super()", "x", "loop", "'", '"', "\\", "&a ", "*a", "<<: *a"),
        *("!call:a:b", "!var ", ": ", "- ", "|", ">", "1e3", "include", "extends", "'main.yaml'", "'p'"),
        *("\n#--- p ---\n", "macro m()", "endmacro", "raw", "endraw", "é", "\0", "(", ")", "[", "]", "{"),
        *("}", ",", ".", "~", "**", "%", "is", "defined", "default(1)", "with", "filter", "---"),
    ]
)
_TEXTS = st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=25).map("".join), st.lists(_WORDS).map(" ".join))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(_TEXTS)
def test_parsing_places_everything_inside_the_text(text: str) -> None:
    outcome = parse(Source("any.yaml", text))
    for finding in outcome.diagnostics:
        assert 0 <= finding.span.start <= finding.span.end <= len(text)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(_TEXTS)
def test_compiling_never_raises_and_every_finding_can_be_shown(text: str) -> None:
    compilation = compile_texts({"main.yaml": text})
    graph_to_json(compilation.graph)
    render_text(compilation.diagnostics)
    segments = compilation.document.segments
    assert "".join(segment.piece.text for segment in segments) == compilation.document.text
