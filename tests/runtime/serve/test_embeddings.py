"""How the folder of a sentence-transformers model says what its vectors are."""

import json
from pathlib import Path

import httpx
import pytest
import torch
from fgc_runtime.serve.embeddings import Pooling, PoolingError, pooling_of
from transformers import BertConfig, BertModel

from tests.runtime.serve.conftest import make_tokenizer, start_server, stop_server


def write_modules(folder: Path, *kinds: str, **pooling: bool) -> Path:
    (folder / "1_Pooling").mkdir(parents=True)
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": f"1_{kind}"} for kind in ("Transformer", *kinds)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def test_pooling_is_that_of_the_folder(tmp_path: Path) -> None:
    assert pooling_of(tmp_path) == Pooling("mean", normalizes=True)
    last = write_modules(
        tmp_path / "a", "Pooling", "Normalize", pooling_mode_lasttoken=True, pooling_mode_cls_token=False
    )
    assert pooling_of(last) == Pooling("last", normalizes=True)
    assert pooling_of(write_modules(tmp_path / "b", "Pooling", pooling_mode_cls_token=True)) == Pooling("cls", False)
    with pytest.raises(PoolingError, match="Dense"):
        pooling_of(write_modules(tmp_path / "c", "Pooling", "Dense", pooling_mode_mean_tokens=True))
    with pytest.raises(PoolingError, match="several"):
        pooling_of(
            write_modules(tmp_path / "d", "Pooling", pooling_mode_mean_tokens=True, pooling_mode_max_tokens=True)
        )


def test_each_pooling_is_what_it_says() -> None:
    states_TD = torch.tensor([[1.0, 4.0], [3.0, 0.0], [2.0, 8.0]])
    pooled = {method: Pooling(method).pool(states_TD).tolist() for method in ("mean", "max", "cls", "last")}
    assert pooled == {"mean": [2, 4], "max": [3, 8], "cls": [1, 4], "last": [2, 8]}


@pytest.mark.slow
def test_a_model_of_embeddings_alone_is_served(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "bert", "Pooling", pooling_mode_cls_token=True)
    tokenizer = make_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    server = start_server(folder)
    try:
        answer = httpx.post(f"{server.url}/v1/embeddings", json={"input": "The dog"}).json()
        with torch.no_grad():
            states_1TD = model(torch.tensor([tokenizer.encode("The dog")])).last_hidden_state
        assert answer["data"][0]["embedding"] == pytest.approx(states_1TD[0, 0].tolist(), abs=1e-5)
        refused = httpx.post(f"{server.url}/v1/completions", json={"prompt": "The dog"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_model")
    finally:
        stop_server(server)
