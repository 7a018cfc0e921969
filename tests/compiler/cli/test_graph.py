"""`fgc graph`: types, passes and drawings."""

import json
import re
import xml.dom.minidom
from pathlib import Path

import pytest

from .conftest import Run

PARTS = """
class Tokenizer:
    size: int

    @property
    def name(self) -> str:
        return ""


def load(path: str) -> Tokenizer:
    return Tokenizer()
"""
CONFIG = """\
tokenizer: &t !call:parts.py:load { path: "a<b" }
again: !call:call [ !partial:parts.py:load { path: x } ]
name: !call:getattr [ *t, name ]
size: !call:getattr [ *t, size ]
main: !list [ *t, !call:parts.py:Tokenizer {}, !call:getitem [ { k: *t }, k ], !var width, !var width ]
"""


@pytest.fixture(autouse=True)
def _files(run: Run) -> None:
    Path("parts.py").write_text(PARTS)
    Path("c.yaml").write_text(CONFIG)


def test_text_says_what_calls_give_where_their_name_does_not(run: Run) -> None:
    out = run("graph", "c.yaml").out
    assert [line for line in out.splitlines() if "->" in line] == [
        "tokenizer: parts.py:load -> Tokenizer",
        "again: call -> Tokenizer",
        "name: getattr -> str",
        "size: getattr -> int",
        "    - getitem -> Tokenizer",
    ]
    assert "    - parts.py:Tokenizer\n" in out


def test_json_has_types_when_asked_for(run: Run) -> None:
    plain = json.loads(run("graph", "c.yaml", "--format", "json").out)
    typed = json.loads(run("graph", "c.yaml", "--format", "json", "--types").out)
    assert "type" not in plain["tokenizer"] and typed["tokenizer"]["type"] == "Tokenizer"
    assert typed["again"]["args"][0]["type"] == "partial"


def test_a_pass_can_be_seen_and_the_passes_before_it(run: Run) -> None:
    before = json.loads(run("graph", "c.yaml", "--format", "json", "--after", "fold-texts").out)
    after = json.loads(run("graph", "c.yaml", "--format", "json", "--after", "fold-calls").out)
    typed = json.loads(run("graph", "c.yaml", "--format", "json", "--after", "infer").out)
    assert typed["again"] == {**after["again"], "type": "Tokenizer"}
    assert before["again"]["callable"] == "call" and after["again"]["callable"] == "parts.py:load"
    assert after["main"]["args"][0][4] == {"$ref": after["main"]["args"][0][3]["$id"]}, "share came before"


def test_a_drawing_has_a_box_for_each_object_and_lines_that_name_arguments(run: Run) -> None:
    text = run("graph", "c.yaml", "--format", "svg").out
    svg = xml.dom.minidom.parseString(text)
    boxes = [group for group in svg.getElementsByTagName("g") if group.getAttribute("id")]
    assert len(boxes) == 11, "the two variables, the mapping and the list count, the list once"
    tooltips = [title.firstChild.data for title in svg.getElementsByTagName("title")]  # type: ignore[union-attr]
    assert "singleton parts.py:load -> Tokenizer\nc.yaml:1:15" in tooltips
    assert "path = 'a<b'" in [row.firstChild.data for row in svg.getElementsByTagName("text")]  # type: ignore[union-attr]
    width, height = (float(svg.documentElement.getAttribute(name)) for name in ("width", "height"))  # type: ignore[union-attr]
    for box in svg.getElementsByTagName("rect"):
        x, y, w, h = (float(box.getAttribute(name) or 0) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width + 0.5 and 0 <= y <= y + h <= height + 0.5, "boxes lie on the page"


def test_dot_names_every_line(run: Run) -> None:
    text = run("graph", "c.yaml", "--format", "dot").out
    assert text.startswith("digraph objects {") and text.endswith("}\n")
    boxes = set(re.findall(r"^  (n\d+) \[label", text, re.MULTILINE))
    lines = re.findall(r'^  (n\d+) -> (n\d+) \[label="(.*)"\];$', text, re.MULTILINE)
    assert {end for line in lines for end in line[:2]} <= boxes and len(lines) == 10
    assert any(label == "[0]" for _, _, label in lines)


def test_a_configuration_with_errors_is_drawn_as_far_as_it_goes(run: Run) -> None:
    Path("bad.yaml").write_text("a: !call:parts.py:load { pth: x }\n")
    result = run("graph", "bad.yaml", "--format", "svg")
    assert result.code == 1 and "FGC501" in result.err
    xml.dom.minidom.parseString(result.out)
