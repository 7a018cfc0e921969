"""Notebooks run from top to bottom, and what they show is what is there."""

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from fgc import Project, ProjectIndex

EXAMPLES = Path(__file__).parents[3] / "examples"
OVERVIEW = EXAMPLES / "tutorials/projects_overview"
NOTEBOOKS = sorted(EXAMPLES.rglob("*.ipynb"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    copied = Path(
        shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("out", "output_models"))
    )
    read = nbformat.read(notebook, as_version=4)
    folder = copied / notebook.parent.relative_to(EXAMPLES)
    client = NotebookClient(read, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    shown = [output.get("data", {}) for cell in read.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("text/html" in data for data in shown) >= 3
    assert sum("image/svg+xml" in data for data in shown) == 1


def test_the_index_is_a_table_and_a_broken_configuration_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "forgather_workspace").mkdir()
    (tmp_path / "meta.yaml").write_text("name: <P>\n")
    configs = tmp_path / "templates/configs"
    configs.mkdir(parents=True)
    (configs / "a.yaml").write_text("meta: { config_name: A & B }\n")
    (configs / "b.yaml").write_text("x: {{ nope }}\n")
    index = ProjectIndex(configs)
    html = index._repr_html_()
    assert "&lt;P&gt;" in html and "A &amp; B" in html and "PARSE ERROR `nope` is undefined" in html
    assert [item.file for item in index] == ["a.yaml", "b.yaml"] and index["a.yaml"].name == "A & B"


def test_a_configuration_shows_its_targets_templates_and_texts() -> None:
    proj = Project("sizes/wide.yaml", project_dir=OVERVIEW)
    assert "<td" in proj._repr_html_() and "partial torch.optim:AdamW" in proj._repr_html_()
    drawing = ElementTree.fromstring(proj.templates._repr_svg_())
    boxes = drawing.findall(".//{http://www.w3.org/2000/svg}text")
    assert len(boxes) == len(proj.templates.references.templates) > 10
    assert str(proj.templates).startswith("configs/sizes/wide.yaml\n└── extends experiment.yaml\n    ├── extends types")
    assert proj.templates.files[0].endswith("templates/configs/sizes/wide.yaml")


def test_highlighted_texts_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    proj = Project("baseline.yaml", project_dir=OVERVIEW)
    code, text = proj.code("optimizer"), proj.pp_config
    assert isinstance(code, str) and "import AdamW" in code and text.splitlines()[0] in text
    html = code._repr_html_()
    assert "<span style=" in html and "AdamW" in html
    monkeypatch.setitem(sys.modules, "pygments", None)
    assert code._repr_html_().startswith("<pre>")
