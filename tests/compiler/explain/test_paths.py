"""What a path names, and what is said of one that names nothing."""

import pytest
from fgc.explain import UnknownPath
from fgc.explain.values import plain_value, value_text

from .templates import explained, look_up, place

DOCUMENT = """\
plain: {a: 1, b.c: {d: 2}, "e f": [10, [20, 21]]}
opt: &opt !partial:torch.optim:AdamW
    lr: 1.0e-3
    betas: !tuple [0.9, 0.95]
call: !call:m:f [x, *opt]
one: !call:m:f 5
spread: !call:m:f
    args: [7]
    kwargs: {k: 8}
numbered: !call:m:f {arg1: second, arg0: first, named: 3}
callbacks: !dlist
    progress: ~
    log: !call:m:Log {every: 4}
    tokens: !call:m:Tokens {}
"""


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("plain.a", 1),
        ("plain.b.c.d", 2),
        ("plain.e f[0]", 10),
        ('plain["e f"][1][0]', 20),
        ("plain['b.c'].d", 2),
        ("plain.e f[-1][-1]", 21),
        ("opt.lr", 0.001),
        ("opt.betas[1]", 0.95),
        ("opt.betas.arg0", 0.9),
        ("&opt.lr", 0.001),
        ("call.arg0", "x"),
        ("call[1].lr", 0.001),
        ("call.arg1.betas[0]", 0.9),
        ("one.arg0", 5),
        ("spread.arg0", 7),
        ("spread.k", 8),
        ("spread.kwargs.k", 8),
        ("numbered[0]", "first"),
        ("numbered.arg1", "second"),
        ("callbacks[0].every", 4),
        ("callbacks.log.every", 4),
        ("callbacks[1]", "!call:m:Tokens"),
    ],
)
def test_a_path_names_a_value(path: str, wanted: object) -> None:
    assert plain_value(explained(path, DOCUMENT).value) == wanted


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plane.a", "there is no `plane`; did you mean `plain`?"),
        ("opt.lrr", "`opt` has no `lrr`; did you mean `lr`?"),
        ("opt.zzz.deep.er", "`opt` has no `zzz`; it has lr, betas"),
        ("opt.lr.x", "`opt.lr` has no `x`: it has no parts"),
        ("callbacks[5].x", "`callbacks` has no `[5]`; it has [0] to [1]"),
        ("callbacks.logg.every", "`callbacks` has no `logg`; did you mean `log`?"),
        ("&op", "there is no `&op`; did you mean `&opt`?"),
        ("plain[0]", "`plain` has no `[0]`; it has a, b.c, e f"),
    ],
)
def test_an_unknown_path_names_the_first_step_that_does_not_exist(path: str, message: str) -> None:
    found = look_up(path, DOCUMENT)
    assert isinstance(found, UnknownPath)
    assert str(found) == message


@pytest.mark.parametrize("path", ["", ".", "[", "a[", "&", "plain..a", "plain[x]", "plain.", "[0]", "plain.a.", '["'])
def test_any_path_is_answered(path: str) -> None:
    look_up(path, DOCUMENT)
    look_up(path, "")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("opt", "a function that calls torch.optim:AdamW(lr, betas)"),
        ("call", "m:f(arg0, arg1), constructed once"),
        ("callbacks", "a list of 2 (`!dlist`)"),
        ("plain", "a mapping with a, b.c, e f"),
        ("plain.e f", "[10, [20, 21]]"),
        ("callbacks.progress", "null"),
    ],
)
def test_a_value_is_one_line(path: str, text: str) -> None:
    assert value_text(explained(path, DOCUMENT).value) == text


def test_the_place_is_that_of_the_key_and_its_value() -> None:
    assert place(explained("opt.lr", DOCUMENT).span) == "main.yaml:3 'lr: 1.0e-3'"
    assert place(explained("opt", DOCUMENT).span) == "main.yaml:2 'opt: &opt !partial:torch.optim:AdamW'"
    assert place(explained("plain.e f[0]", DOCUMENT).span) == "main.yaml:1 '10'"


def test_aliases_that_were_followed_are_told() -> None:
    aliases = explained("call.arg1.lr", DOCUMENT).aliases
    assert [(alias.name, place(alias.origin.span)) for alias in aliases] == [("opt", "main.yaml:5 '*opt'")]
