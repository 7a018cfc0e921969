"""Says what is known only where a program runs: readable expressions with the value that `pp` shows, or a pin."""

import re
from pathlib import Path

import pytest
from fgc import Project
from fgc.cli.main import main
from fgc.resolve.environment import jinja_environment, make_globals
from fgc.text import expression_text
from fgc.workspace import collect_facts

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d([-:])\d\d\1\d\d")
OPEN = {  # what a template prints, and what the program says; several forms of one global are numbered
    "isotime": ("isotime()", "STARTED_ISO"),
    "utcisotime": ("utcisotime()", "STARTED_UTC_ISO"),
    "filetime": ("filetime()", "STARTED"),
    "utcfiletime": ("'at ' ~ utcfiletime()", 'f"at {STARTED_UTC}"'),
    "now": ("now()", 'NOW.strftime("%Y-%m-%d %H:%M:%S")'),
    "now 2": ("now().strftime('%Y/%m')", 'NOW.strftime("%Y/%m")'),
    "utcnow": ("utcnow().isoformat()", 'UTC_NOW.strftime("%Y-%m-%dT%H:%M:%S")'),
    "joinpath": ("joinpath(project_dir, 'runs')", 'os.path.join(PROJECT_DIR, "runs")'),
    "normpath": ("normpath(joinpath(project_dir, '..'))", 'os.path.normpath(os.path.join(PROJECT_DIR, ".."))'),
    "abspath": ("abspath('data')", 'os.path.abspath("data")'),
    "relpath": ("relpath('/data')", 'os.path.relpath("/data")'),
    "relpath 2": ("relpath(path=project_dir, start='/')", 'os.path.relpath(PROJECT_DIR, "/")'),
    "dirname": ("dirname(project_dir)", "os.path.dirname(PROJECT_DIR)"),
    "basename": ("basename(project_dir)", "os.path.basename(PROJECT_DIR)"),
    "splitext": (
        "splitext(joinpath(project_dir, 'a.tar'))[0]",
        'os.path.splitext(os.path.join(PROJECT_DIR, "a.tar"))[0]',
    ),
    "repr": ("repr(hostname)", "repr(socket.gethostname())"),
    "modname_from_path": ("modname_from_path(project_dir)", "Path(PROJECT_DIR).stem"),
    "user_home_dir": ("user_home_dir()", 'os.path.expanduser("~")'),
    "getcwd": ("getcwd()", "os.getcwd()"),
    "getcwd 2": ("getcwd ~ '/x'", 'f"{os.getcwd()}/x"'),
    "forgather_config_dir": ("forgather_config_dir()", 'os.path.join(USER_CONFIG_DIR, "forgather")'),
    "user_data_dir": ("user_data_dir('app')", 'os.path.join(USER_DATA_DIR, "app")'),
    "user_cache_dir": ("user_cache_dir()", "USER_CACHE_DIR"),
    "user_config_dir": ("user_config_dir", "USER_CONFIG_DIR"),
    "site_data_dir": ("site_data_dir('app')", '"/usr/local/share/app"'),
    "site_config_dir": ("site_config_dir()", '"/etc/xdg"'),
    "project_dir": ("project_dir", "PROJECT_DIR"),
    "workspace_root": ("workspace_root", "WORKSPACE_ROOT"),
    "hostname": ("hostname", "socket.gethostname()"),
    "uname": ("uname[0]", "platform.uname().system"),
    "uname 2": ("uname.nodename", "socket.gethostname()"),
    "uname 3": ("uname.release", "platform.uname().release"),
    "getenv": ("getenv('FGC_NO_SUCH', 'x')", 'os.environ.get("FGC_NO_SUCH", "x")'),
    "getenv 2": (
        "joinpath(getenv('FGC_NO_SUCH', project_dir), 'a')",
        'os.path.join(os.environ.get("FGC_NO_SUCH", PROJECT_DIR), "a")',
    ),
    "getenv 3": ("getenv('FGC_NONE') or 'y'", 'os.environ.get("FGC_NONE") or "y"'),
    "versions": ("'v' ~ versions.python", 'f"v{platform.python_version()}"'),
    "versions 2": ("'v' ~ versions['torch']", "f\"v{version('torch')}\""),
}
PURE = {  # of the words in a template only: known when it is compiled, and the same on any machine
    "joinpath('a', 'b')": "a/b",
    "normpath('a/../b')": "b",
    "abspath('/a/../b')": "/b",
    "relpath('a/b', 'a')": "b",
    "dirname('a/b')": "a",
    "basename('a/b')": "b",
    "splitext('a.py')[1]": ".py",
    "repr('a')": "'a'",
    "modname_from_path('a/b.py')": "b",
}
PINS = {  # what needs the value, and why
    "1 if hostname == 'x' else 2": ("hostname", "it is compared"),
    "project_dir[:4]": ("project_dir", "it is cut"),
    "hostname | upper": ("hostname", "the filter `upper` changes it"),
    "hostname.upper()": ("hostname", "`upper` changes it"),
    "project_dir.split('/')[0]": ("project_dir", "`split` changes it"),
    "'%s.txt' % hostname": ("hostname", "`%` computes with it"),
    "'{}.txt'.format(hostname)": ("hostname", "`format` takes it"),
    "[hostname] | join('-')": ("hostname", "the filter `join` changes it"),
    "[hostname]": ("hostname", "a list or mapping is printed as a whole"),
    "1 if basename(project_dir) else 2": ("basename(project_dir)", "a condition depends on it"),
    "versions.python is lower": ("versions.python", "the test `lower` looks at it"),
    "'torch' in versions": ("versions()", "it is compared"),
    "versions.no_such_package is defined": ("versions.no_such_package", "it is not installed here"),
    "now().year": ("now()", "`year` is a part of it"),
    "{'a': 1}[hostname] | default(2)": ("hostname", "it is an index"),
    "lipsum(1, false)": ("lipsum()", "it is drawn at random"),
    "range(hostname | length) | list": ("hostname", "the filter `length` changes it"),
    "getenv('FGC_NO_SUCH', '3') | int": ("getenv('FGC_NO_SUCH', '3')", "the filter `int` changes it"),
    "1 if getenv('FGC_NO_SUCH') else 2": ("getenv('FGC_NO_SUCH')", "a condition depends on it"),
    "-(x | default(2) if hostname != 'a' else 3)": ("hostname", "it is compared"),
    "(x | default(2) if hostname != 'a' else 3) == 2": ("hostname", "it is compared"),
    "getenv('FGC_NO_SUCH') is none": ("getenv('FGC_NO_SUCH')", "the test `none` looks at it"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "forgather_workspace").mkdir()
    (tmp_path / "p/templates/configs").mkdir(parents=True)
    (tmp_path / "p/meta.yaml").write_text("name: P\n")
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path / "p"


def project(*expressions: str) -> Project:
    """Each printed on its own line, as a text."""
    lines = "".join(f"    - {{{{ ({expression}) | toyaml }}}}\n" for expression in expressions)
    Path("templates/configs/c.yaml").write_text(f"main: !call:list\n  -\n{lines}")
    return Project("c.yaml")


def test_every_global_is_in_the_table_or_is_jinjas_own() -> None:
    facts = collect_facts(Path.cwd(), Path.cwd().parent)
    ours = set(make_globals(facts)) - set(jinja_environment().globals)
    assert ours == {name.split()[0] for name in OPEN} | {"raise", "assert"}


def test_open_values_are_readable_expressions() -> None:
    code = project(*(f"({template}) ~ ''" for template, _ in OPEN.values())).code()
    for _, expression in OPEN.values():
        assert f"        {expression},\n" in code
    assert "FGC216" not in {finding.code for finding in project("hostname").diagnostics}


def test_open_values_are_in_the_program_what_pp_shows() -> None:
    proj = project(*(f"({template}) ~ ''" for template, _ in OPEN.values()))
    shown = [line.removeprefix("    - ").strip("'") for line in proj.pp_config.splitlines()[2:]]
    built = [text.strip("'") for text in proj()]
    assert [_TIME.sub("TIME", text) for text in built] == [_TIME.sub("TIME", text) for text in shown]
    for then, now in zip(shown, built, strict=True):
        assert then == now or (_TIME.search(then) and then < now)  # the clock goes on between the two


def test_a_variable_of_the_environment_has_the_type_that_it_has_at_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["getenv('N', 8)", "getenv('RATE', 0.5)", "getenv('FAST', false)", "getenv('NAME')"]
    text = "main: !call:list\n  -\n" + "".join(f"    - {{{{ {line} }}}}\n" for line in lines)
    Path("templates/configs/c.yaml").write_text(text + "    - \"a{{ getenv('END', '') }}\"\n")
    assert Project("c.yaml")() == [8, 0.5, False, None, "a"]
    code = Project("c.yaml").code()
    assert 'int(os.environ.get("N", "8"))' in code and 'os.environ.get("NAME"),' in code
    monkeypatch.setenv("N", "9")
    monkeypatch.setenv("FAST", "yes")
    monkeypatch.setenv("END", "b")
    space: dict[str, object] = {}
    exec(compile(code, "program", "exec"), space)  # the program that was made without them
    construct = space["construct"]
    assert callable(construct) and construct() == [9, 0.5, True, None, "ab"]


def test_the_value_of_a_variable_of_the_environment_is_written_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FGC_TOKEN", "abracadabra")
    Path("templates/configs/c.yaml").write_text(
        "-- set token = getenv('FGC_TOKEN')\n-- set is_there = 1 if token else 0\n"
        "meta: { config_name: \"Run {{ token }}\" }\nmain: !call:print [ {{ token or 'x' }}, {{ is_there }} ]\n"
    )
    assert main(["build", "-o", "out"]) == 0
    assert "abracadabra" not in "".join(path.read_text() for path in Path("out").iterdir())
    assert "abracadabra" not in capsys.readouterr().err


@pytest.mark.parametrize(("expression", "value"), PURE.items())
def test_what_no_machine_changes_is_written_out(expression: str, value: str) -> None:
    proj = project(expression)
    assert proj() == [value]
    assert "import os" not in proj.code()


@pytest.mark.parametrize(("expression", "pin"), PINS.items())
def test_what_needs_the_value_pins_it(expression: str, pin: tuple[str, str]) -> None:
    proj = project(expression)
    (finding,) = proj.diagnostics
    name, reason = pin
    assert finding.code == "FGC216"
    assert finding.message.startswith(f"`{name}` ")
    needs = proj._selected.compilation.needs
    assert [(expression_text(need.expression), need.reason) for need in needs] == [(name, reason)]
    assert finding.span.text in Path("templates/configs/c.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ hostname }}: 1\nmain: 1\n", "it is in a key"),
        ("main: !call:{{ hostname }}:f\n", "it is not in a value"),
        ('main: "{{ hostname ~ "\\t" }}"\n', None),
        ("main: {{ versions.python[:3] }}\n", "it is cut"),
        ("main: {{ now().strftime('1') }}\n", "YAML reads `1` as an integer"),
        ("# {{ hostname }}\nmain: 1 # {{ hostname }}\n", None),
    ],
)
def test_yaml_pins_what_is_no_text(text: str, reason: str | None) -> None:
    Path("templates/configs/c.yaml").write_text(text)
    from fgc.workspace import open_project

    needs = open_project(Path.cwd()).compile("c.yaml", {}).needs
    assert [need.reason for need in needs] == ([reason] if reason else [])


@pytest.mark.parametrize(
    "expression",
    [
        "hostname | default('x')",
        "hostname if hostname else 'x'",
        "hostname is defined and 'x'",
        "hostname is string",
        "(project_dir ~ '/x') | trim",
        "namespace(a=hostname).a",
        "{'a': hostname}.a",
        "[hostname][0]",
    ],
)
def test_passing_a_value_on_pins_nothing(expression: str) -> None:
    assert project(expression).diagnostics == ()
