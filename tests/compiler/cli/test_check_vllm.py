"""`fgc check --vllm`: the rules for serving count only where they are asked for."""

import json
from pathlib import Path

from .conftest import Run

PLANNED = """\
-- extends 'models/llama.yaml'
[tp_plan]
    tp_plan:
        layers.*.{name}: {style}
"""


def test_what_vllm_needs_is_checked_where_it_is_asked_for(run: Run) -> None:
    Path("planned.yaml").write_text(PLANNED.format(name="mlp.up_proj", style="columnwise"), encoding="utf-8")
    assert run("check", "planned.yaml").code == 0
    result = run("check", "planned.yaml", "--vllm", "--format", "json")
    (finding,) = json.loads(result.out)["findings"]
    assert (result.code, finding["code"], finding["line"], finding["column"]) == (1, "FGC802", 4, 9)


def test_a_name_that_is_wrong_for_vllm_and_for_transformers_is_told_once(run: Run) -> None:
    Path("planned.yaml").write_text(PLANNED.format(name="attention.q_proj", style="colwise"), encoding="utf-8")
    result = run("check", "planned.yaml", "--vllm", "--format", "json")
    assert [finding["code"] for finding in json.loads(result.out)["findings"]] == ["FGC416"]


def test_a_number_of_processes_is_for_vllm(run: Run) -> None:
    Path("a.yaml").write_text("-- extends 'models/llama.yaml'\n", encoding="utf-8")
    result = run("check", "a.yaml", "--tensor-parallel-size", "2")
    assert (result.code, result.err) == (2, "fgc: `--tensor-parallel-size` is for `--vllm`\n")
    result = run("check", "a.yaml", "--vllm", "--tensor-parallel-size", "3", "--format", "json")
    assert {finding["code"] for finding in json.loads(result.out)["findings"]} == {"FGC808"}
