"""`fgc check`: what is checked, what counts, how it is printed."""

import json
from pathlib import Path

import pytest

from .conftest import Run


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_a_finding_that_two_configurations_inherit_is_shown_once_with_both_names(run: Run, project: Path) -> None:
    result = run("check", "p", "--format", "json")
    (finding,) = json.loads(result.out)["findings"]
    assert result.code == 1
    assert (finding["file"], finding["line"], finding["column"]) == ("p/templates/middle.yaml", 2, 2)
    assert finding["end_column"] == 10
    assert finding["configurations"] == ["p/a.yaml", "p/b.yaml"]
    assert finding["related"][0]["file"] == "p/templates/base.yaml"


def test_a_tree_is_checked_project_by_project_and_a_broken_one_stops_no_other(run: Run, project: Path) -> None:
    Path("q").mkdir()
    write("q/meta.yaml", "name: [\n")
    result = run("check", ".")
    assert result.code == 2
    assert "q/meta.yaml" in result.err and "FGC204" in result.err


def test_an_override_of_nothing_in_a_library_is_a_warning_until_its_project_is_checked(run: Run, project: Path) -> None:
    Path("q/templates/configs").mkdir(parents=True)
    write("q/meta.yaml", "searchdir: [ templates, ../p/templates ]\n")
    write("q/templates/configs/c.yaml", "-- extends 'middle.yaml'\n")
    only = run("check", "q")
    assert "warning[FGC204]" in only.err
    whole = run("check", ".")
    assert "error[FGC204]" in whole.err and "warning" not in whole.err


def test_one_configuration_by_name(run: Run, project: Path) -> None:
    result = run("-p", "p", "-t", "a", "check", "--format", "json")
    assert json.loads(result.out)["findings"][0]["configurations"] == ["p/a.yaml"]


def test_clean_is_0_and_could_not_run_is_2(run: Run) -> None:
    write("good.yaml", "a: 1\n")
    assert run("check", "good.yaml").code == 0
    assert run("check", "missing.yaml").code == 2
    Path("empty").mkdir()
    assert run("check", "empty").code == 2


@pytest.mark.parametrize(
    ("text", "silenced"),
    [
        ("a: 010 ## fgc: ignore[FGC310]\n", True),
        ("## fgc: ignore[FGC310]\na: 010\n", True),
        ("b: 1\n## fgc: ignore[FGC310]\na: 010\n", True),
        ("b: 1\n## fgc: ignore[FGC310]\nc: 1\na: 010\n", False),
        ("a: 010 ## fgc: ignore[FGC204]\n", False),
    ],
)
def test_comments_silence_their_line_the_next_one_or_the_file(run: Run, text: str, silenced: bool) -> None:
    write("a.yaml", text)
    codes = [finding["code"] for finding in json.loads(run("check", "a.yaml", "--format", "json").out)["findings"]]
    assert ("FGC310" in codes) is not silenced
    assert ("FGC701" in codes) is not silenced, "a comment that silences nothing is reported"


def test_selection_and_severity_from_the_command_line_and_from_pyproject(run: Run) -> None:
    write("a.yaml", "a: 010\n")
    assert run("check", "a.yaml", "--ignore", "FGC3").code == 0
    assert run("check", "a.yaml", "--select", "FGC2").code == 0
    assert run("check", "a.yaml", "--fail-on", "error").code == 0
    assert run("check", "a.yaml", "--fail-on", "error", "--severity", "FGC310=error").code == 1
    write("pyproject.toml", '[tool.fgc.check]\nseverity = { FGC310 = "off" }\n')
    assert run("check", "a.yaml").code == 0
    write("pyproject.toml", "[tool.fgc.check]\nselct = []\n")
    result = run("check", "a.yaml")
    assert result.code == 2 and "did you mean `select`?" in result.err


def test_a_baseline_lets_known_findings_pass_and_new_ones_not(run: Run) -> None:
    write("a.yaml", "a: 010\n")
    assert run("check", "a.yaml", "--write-baseline", "known.json").code == 0
    write("a.yaml", "\n\na: 010\n")
    assert run("check", "a.yaml", "--baseline", "known.json").code == 0, "lines may move"
    write("a.yaml", "a: 010\nb: 1e5\n")
    result = run("check", "a.yaml", "--baseline", "known.json", "--format", "json")
    assert [finding["line"] for finding in json.loads(result.out)["findings"]] == [2]


def test_machine_formats_name_file_line_and_code(run: Run) -> None:
    write("a.yaml", "x: {{ nope }}\n")
    github = run("check", "a.yaml", "--format", "github").out
    assert github.startswith(
        "::error file=a.yaml,line=1,col=7,endLine=1,endColumn=11,title=FGC203::`nope` is undefined"
    )
    gitlab = json.loads(run("check", "a.yaml", "--format", "gitlab").out)
    assert gitlab[0]["location"] == {"path": "a.yaml", "lines": {"begin": 1}}
    sarif = json.loads(run("check", "a.yaml", "--format", "sarif").out)
    region = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 7, "endLine": 1, "endColumn": 11}


def test_columns_count_code_points(run: Run) -> None:
    write("a.yaml", "'é☃𝄞': {{ nope }}\n")
    (finding,) = json.loads(run("check", "a.yaml", "--format", "json").out)["findings"]
    assert finding["column"] == 11


def test_one_place_of_many_configurations_is_one_finding_though_its_values_differ(run: Run, project: Path) -> None:
    write("p/templates/base.yaml", "[optimizer]\nfolder: !list:{{ joinpath(project_dir, ns.name) }} []\n")
    write("p/templates/middle.yaml", "-- extends 'base.yaml'\n")
    for name in "abcd":
        write(f"p/templates/configs/{name}.yaml", f"-- set ns = namespace(name='{name}')\n-- extends 'middle.yaml'\n")
    result = run("check", "p", "--select", "FGC216", "--format", "json")
    (finding,) = json.loads(result.out)["findings"]
    assert finding["configurations"] == ["p/a.yaml", "p/b.yaml", "p/c.yaml", "p/d.yaml"]
    assert "in 4 configurations, such as p/a.yaml, p/b.yaml, p/c.yaml\n" in run("check", "p").err


def test_an_attribute_that_another_configuration_reads_is_not_unread(run: Run, project: Path) -> None:
    write(
        "p/templates/base.yaml",
        "-- set ns = namespace(max_step=1)\n-- set ns.max_steps = 2\n[a]\nb: {{ ns.max_step }}\n",
    )
    write("p/templates/configs/a.yaml", "-- extends 'base.yaml'\n")
    write("p/templates/configs/b.yaml", "-- extends 'base.yaml'\n")
    write("p/templates/middle.yaml", "a: 1\n")
    assert "FGC212" in run("-p", "p", "-t", "a", "check").err
    write("p/templates/configs/b.yaml", "-- extends 'base.yaml'\n[a]\nb: {{ ns.max_steps }}\n")
    assert run("-p", "p", "-t", "a", "check").code == 0


def test_the_path_of_a_python_file_in_a_tag_is_no_pin(run: Run) -> None:
    write("f.py", "def make(): return 1\n")
    write("a.yaml", "main: !call:{{ joinpath(project_dir, 'f.py') }}:make []\n")
    assert run("check", "a.yaml").code == 0


def test_what_a_build_would_refuse_is_found_without_building(run: Run) -> None:
    write("broken.py", "def f(x):\n    return (x\n")
    write("a.yaml", "a: !call:nofile.py:X []\nb: 1\nmain: !call:broken.py:f [ !call:.part:Part [] ]\n")
    result = run("check", "a.yaml", "--format", "json")
    found = {(item["file"], item["line"], item["code"]) for item in json.loads(result.out)["findings"]}
    assert found == {("a.yaml", 1, "FGC001"), ("a.yaml", 3, "FGC502"), ("broken.py", 2, "FGC520")}
    write("b.yaml", "b: !meta:nope:x {}\n")
    assert "FGC411" in run("check", "b.yaml").err


def test_calls_that_were_not_checked_are_said_with_their_reasons(run: Run) -> None:
    write("parts.py", "def change(f): return lambda **x: f()\n@change\ndef made(): ...\n")
    write("m.yaml", "a: !call:nowhere_to_be_found:f []\nb: !call:nowhere_to_be_found:g []\nc: !call:parts.py:made []\n")
    result = run("check", "m.yaml", "--report-unchecked")
    assert result.code == 0
    listed, summary = result.out.splitlines()[:-1], result.out.splitlines()[-1]
    assert [line.partition(": ")[0] for line in listed] == ["m.yaml:1:10", "m.yaml:2:10", "m.yaml:3:10"]
    assert "0 of 3 calls checked; not: nowhere_to_be_found (it is not installed; 2 calls), parts.py:made" in summary
    found = json.loads(run("check", "m.yaml", "--format", "json").out)["calls"]
    assert (found["total"], found["checked"]) == (3, 0)
    assert [item["calls"] for item in found["unchecked"]] == [2, 1]


def test_a_check_that_compared_every_call_says_no_more_than_before(run: Run) -> None:
    write("m.yaml", "a: !call:print [ 1 ]\n")
    assert run("check", "m.yaml", "--report-unchecked").out == "1 configuration checked, no findings\n"
