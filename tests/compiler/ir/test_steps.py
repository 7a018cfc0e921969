"""Steps of a path through a graph."""

from pathlib import Path

from fgc.ir import Call, display_type, steps
from fgc.workspace import FileStore
from fgc.workspace.selection import select_file

CONFIG = """
main: !partial:custom.py:train
    lr: 1
    latent_args: { seed: 7 }
pair: !tuple [ 1, 2 ]
lookalike: !call:custom.py:named_list [ [ 1, 2 ] ]
"""


def test_a_step_is_called_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text("def train(lr, seed): ...\ndef named_list(items): ...\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    graph = select_file(tmp_path / "config.yaml", (), {}, FileStore()).compilation.graph
    names = {target: [name for name, _, _ in steps(graph, node)] for target, node in graph.targets.items()}
    assert names == {"main": [".lr", ".latent_args"], "pair": [""], "lookalike": ["[0]"]}


def test_a_call_of_the_same_name_makes_no_container(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text("def train(lr, seed): ...\ndef named_list(items): ...\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    graph = select_file(tmp_path / "config.yaml", (), {}, FileStore()).compilation.graph
    made = {target: display_type(graph[node]) for target, node in graph.targets.items()}
    assert made == {"main": None, "pair": tuple, "lookalike": None}
    assert all(isinstance(graph[node], Call) for node in graph.targets.values())
