"""Values of a model's generation_config.json are the defaults of a request."""

import json
from pathlib import Path

import pytest
from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.models.finding import FolderError
from fgc_runtime.serve.defaults import Defaults, read_defaults


def written(folder: Path, **fields: object) -> list[Path]:
    (folder / "generation_config.json").write_text(json.dumps(fields), encoding="utf-8")
    return [folder / "none", folder]


def test_the_models_sampling_is_read(tmp_path: Path) -> None:
    folders = written(tmp_path, temperature=0.6, top_p=0.95, top_k=20, max_new_tokens=7, do_sample=True, min_p=None)
    defaults = read_defaults(folders, is_strict=False)
    assert defaults == Defaults(Sampling(temperature=0.6, top_p=0.95, top_k=20), max_tokens=7)
    assert defaults.told == "temperature 0.6, top_p 0.95, top_k 20, max_tokens 7"


def test_without_a_file_the_apis_own_defaults_count(tmp_path: Path) -> None:
    assert read_defaults([tmp_path], is_strict=True) == Defaults(is_strict=True)
    assert Defaults().told == ""


def test_what_is_not_followed_is_told(tmp_path: Path) -> None:
    folders = written(tmp_path, no_repeat_ngram_size=3, num_beams=1, suppress_tokens=[5], eos_token_id=2)
    assert read_defaults(folders, is_strict=False).undone == ("no_repeat_ngram_size", "suppress_tokens")


@pytest.mark.parametrize(("fields", "word"), [({"temperature": "hot"}, "temperature"), ({"top_p": 2}, "top_p")])
def test_a_field_out_of_range_is_told_with_its_file(tmp_path: Path, fields: dict[str, object], word: str) -> None:
    with pytest.raises(FolderError, match=rf"generation_config.json: .*{word}"):
        read_defaults(written(tmp_path, **fields), is_strict=False)


def test_a_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(FolderError, match="cannot be read"):
        read_defaults([tmp_path], is_strict=False)
