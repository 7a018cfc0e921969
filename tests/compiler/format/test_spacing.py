"""Tokens to text: one way of spaces, and the same tokens whatever the spaces were."""

import pytest
from fgc.format import meaning_of, spaced
from fgc.format.codes import read_codes
from fgc.syntax import parse
from fgc.syntax.tokens import Token
from fgc.text import Source
from hypothesis import given
from hypothesis import strategies as st


def tokens_of(text: str) -> tuple[Token, ...]:
    return next((code.tokens for code in read_codes(Source("t", "{% " + text + " %}"))), ())


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("x=1", "x = 1"),
        ("a  +  b*c", "a + b * c"),
        ("- x", "-x"),
        ("a- -b", "a - -b"),
        ("[ -1,+2 ]", "[-1, +2]"),
        ("(1 ,)", "(1,)"),
        ("f( a,b = 1 , *c,** d )", "f(a, b=1, *c, **d)"),
        ("a**b", "a ** b"),
        ("x|default( 10 )|toyaml", "x | default(10) | toyaml"),
        ("{ 'a':1,'b' : [ 2 ] }", "{'a': 1, 'b': [2]}"),
        ("a [ 1 : 2 ]", "a[1:2]"),
        ("{'a': b[1 :]}", "{'a': b[1:]}"),
        ("a . b . 0", "a.b.0"),
        ("x is not  none", "x is not none"),
        ("x is in[1]", "x is in [1]"),
        ("x is subset[1]", "x is subset [1]"),
        ("not(a)and(b)or f (c)", "not (a) and (b) or f(c)"),
        ("a if b else-1", "a if b else -1"),
        ("a~'b' 'c'", "a ~ 'b' 'c'"),
        ("a==b!=c<=d//e%f", "a == b != c <= d // e % f"),
        ("(a)(b)[c](d)", "(a)(b)[c](d)"),
        ("x.if (1)", "x.if(1)"),
    ],
)
def test_an_expression_has_one_way_of_spaces(written: str, wanted: str) -> None:
    assert spaced(tokens_of(written), is_statement=False) == wanted


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("set  ns.x=f(a = 1)", "set ns.x = f(a=1)"),
        ("set a,b=(1,2)", "set a, b = (1, 2)"),
        ("for(a,b)in c|items if a", "for (a, b) in c | items if a"),
        ("if x:", "if x"),
        ("else:", "else"),
        ("call ( user ) dump(x)", "call(user) dump(x)"),
        ("macro m( a,b = 1 )", "macro m(a, b=1)"),
        ("with a=1,b=2", "with a = 1, b = 2"),
        ("from'x'import a as b,c", "from 'x' import a as b, c"),
        ("if[1,2]", "if [1, 2]"),
        ("include[ 'a','b' ]ignore missing", "include ['a', 'b'] ignore missing"),
    ],
)
def test_a_statement_has_one_way_of_spaces(written: str, wanted: str) -> None:
    assert spaced(tokens_of(written), is_statement=True) == wanted


_TOKENS = st.sampled_from(
    [
        *("a", "b.c", "x.0", "1", "1.5", "0x1F", "1_000", "'q'", '"it\'s"', "in", "is", "not", "and", "or", "if"),
        *",:.|~+-*/%=<",
        *("**", "//", "==", "!=", "<=", "else", "with", "default"),
    ]
)
_BALANCED = st.recursive(
    st.lists(_TOKENS, max_size=5).map(" ".join),
    lambda inner: st.tuples(inner, st.sampled_from(["( )", "[ ]", "{ }"]), inner).map(
        lambda parts: f"{parts[0]} {parts[1].replace(' ', f' {parts[2]} ')} {parts[0]}"
    ),
    max_leaves=5,
)


@given(_BALANCED, st.booleans())
def test_spaces_never_make_other_tokens_of_any_text(text: str, is_statement: bool) -> None:
    tokens = tokens_of(text)
    if tokens:
        kept = tokens[:-1] if is_statement and len(tokens) > 1 and tokens[-1].text == ":" else tokens
        again = tokens_of(spaced(tokens, is_statement=is_statement))
        assert [token.text for token in again] == [token.text for token in kept]


_GAPS = st.sampled_from(["", " ", "   "])
_EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "ns.b", "1", "-1.5", "'text'", "none", "[]", "{}", "()", "x.0", "f()"]),
    lambda inner: st.tuples(
        st.sampled_from(
            [
                *("A|default(~B~)", "A | f(B, k~=~B)", "(~A~)", "[~A~,~B~]", "{~(A)~:~B~}", "(~A~,~)", "f(*~A, **~B)"),
                *("A~+~B", "A~-~B", "A~**~B", "A~//~B", "A~~~~B", "A ~==~ B", "A~<=~B~!=~A", "A in B", "A not in B"),
                *(
                    "not A",
                    "(A) and (B)",
                    "(A) or (B)",
                    "A is defined",
                    "A is not none",
                    "(A)[~B~:~]",
                    "(A).b",
                    "(A)(B)",
                ),
                *("A if B else B", "A is sameas(B)", "- (A)", "(A) is divisibleby 3", "(A) is in [1]"),
            ]
        ),
        inner,
        inner,
        _GAPS,
    ).map(lambda p: p[0].replace("~~~~", "~\0~").replace("~", p[3]).replace("\0", "~").translate({65: p[1], 66: p[2]})),
    max_leaves=6,
)


@given(_EXPRESSIONS)
def test_what_is_printed_of_an_expression_parses_to_the_same_tree(text: str) -> None:
    before = parse(Source("t", "{{ " + text + " }}"))
    after = parse(Source("t", "{{ " + spaced(tokens_of(text), is_statement=False) + " }}"))
    assert meaning_of(after.value) == meaning_of(before.value)
    assert len(after.diagnostics) == len(before.diagnostics)
