"""Each token of a text is scored once, with the context that its window gives it."""

import copy
import math

import pytest
import torch
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.perplexity import Windows, perplexity, windows_of
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

TEXT = "Once upon a time there was a small dog. The dog liked to run and play. 你好! " * 4


def by_hand(model: LlamaForCausalLM, ids: list[int], context: int, stride: int) -> float:
    """The mean loss, token by token: each sees its window from the begin on, and nothing else."""
    total, begin = 0.0, 0
    for place in range(1, len(ids)):
        while place >= begin + context:
            begin += stride
        with torch.inference_mode():
            logits = model(torch.tensor([ids[begin:place]])).logits[0, -1]
        total -= float(logits.double().log_softmax(-1)[ids[place]])
    return total / (len(ids) - 1)


@pytest.mark.parametrize(("context", "stride"), [(16, 8), (16, 1), (16, 15), (17, 5), (256, 128)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_loss_is_that_of_windows_by_hand(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, context: int, stride: int, batch_size: int
) -> None:
    ids = tokenizer(TEXT)["input_ids"]
    found = perplexity(model, tokenizer, TEXT, Windows(context, stride), batch_size=batch_size)
    assert found.loss == pytest.approx(by_hand(model, ids, context, stride), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.num_tokens == len(ids) - 1
    assert found.bits_per_byte == pytest.approx(found.loss * found.num_tokens / math.log(2) / len(TEXT.encode()))


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_the_loss_is_the_same_in_parts_that_need_little_memory(
    family: str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gemma 2 caps its logits behind the head: in each part too."""
    scored = model if family == "llama" else capped(len(tokenizer))
    whole = perplexity(scored, tokenizer, TEXT, Windows(64, 32), batch_size=2)
    monkeypatch.setattr("fgc_runtime.evaluate.parts._NUMBERS_AT_ONCE", 2 * 5 * len(tokenizer))
    sizes: list[int] = []
    hook = scored.lm_head.register_forward_hook(lambda module, given, logits: sizes.append(logits.numel()))
    parts = perplexity(scored, tokenizer, TEXT, Windows(64, 32), batch_size=2)
    hook.remove()
    assert max(sizes) <= 2 * 5 * len(tokenizer) and len(sizes) > 5
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert "forward" not in vars(scored.base_model)


class Unrolled(LlamaForCausalLM):
    """Runs the layers of its base model itself."""

    def forward(self, input_ids, use_cache=None):
        hidden = self.model.embed_tokens(input_ids)
        positions = torch.arange(input_ids.shape[1])[None]
        rotation = self.model.rotary_emb(hidden, position_ids=positions)
        for layer in self.model.layers:
            hidden = layer(hidden, position_embeddings=rotation, position_ids=positions)
        return CausalLMOutputWithPast(logits=self.lm_head(self.model.norm(hidden)))


def test_a_model_that_does_not_ask_its_base_model_is_read_whole(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Unrolled(copy.deepcopy(model.config)).eval()
    scored.load_state_dict(model.state_dict())
    del scored.config.vocab_size  # a configuration need not have it
    whole = perplexity(scored, tokenizer, TEXT, Windows(64, 32))
    monkeypatch.setattr("fgc_runtime.evaluate.parts._NUMBERS_AT_ONCE", 5 * len(tokenizer))
    assert perplexity(scored, tokenizer, TEXT, Windows(64, 32)).loss == pytest.approx(whole.loss, rel=1e-6)


def capped(vocab_size: int) -> Gemma2ForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "final_logit_softcapping": 2.0}
    return Gemma2ForCausalLM(Gemma2Config(vocab_size=vocab_size, initializer_range=0.3, **sizes, **heads)).eval()


@pytest.mark.parametrize("num_tokens", [0, 1, 2, 15, 16, 17, 32, 33, 100])
@pytest.mark.parametrize(("context", "stride"), [(16, 15), (16, 8), (16, 3), (2, 1)])
def test_windows_score_each_token_behind_the_first_once(num_tokens: int, context: int, stride: int) -> None:
    windows = list(Windows(context, stride).over(num_tokens))
    assert [token for _, end, scored in windows for token in range(scored, end)] == list(range(1, num_tokens))
    assert all(begin < scored and end - begin <= context for begin, end, scored in windows)


def test_a_text_begins_with_one_bos_whether_it_is_written_or_added(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    added = perplexity(model, tokenizer, "Once upon a time", Windows(16, 8))
    written = perplexity(model, tokenizer, "<s>Once upon a time", Windows(16, 8))
    assert added.begins_with_bos
    assert (written.num_tokens, written.loss) == (added.num_tokens, added.loss)


def test_windows_that_leave_tokens_out_or_are_too_long_are_refused(model: LlamaForCausalLM) -> None:
    assert windows_of(model, context=None, stride=None) == Windows(256, 128)
    with pytest.raises(EvaluationError, match="--context 257 is longer than the model's own: 256"):
        windows_of(model, context=257, stride=None)
    with pytest.raises(EvaluationError, match="--stride 16 must be smaller than --context 16, at most 15"):
        windows_of(model, context=16, stride=16)


def test_what_cannot_be_scored_is_refused(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(EvaluationError, match="nothing can be scored"):
        perplexity(model, tokenizer, "", Windows(16, 8))
    broken = make_nan(model)
    with pytest.raises(EvaluationError, match="weights are broken"):
        perplexity(broken, tokenizer, TEXT, Windows(16, 8))


def make_nan(model: LlamaForCausalLM) -> LlamaForCausalLM:
    broken = LlamaForCausalLM(model.config)
    broken.model.norm.weight.data.fill_(float("nan"))
    return broken
