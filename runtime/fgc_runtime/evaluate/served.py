"""A model behind an OpenAI API, as the harness sees a model: tokens are made here, their probabilities come from there.

Texts become tokens exactly as for a model of this process, so that both give the same numbers.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from fgc_runtime.evaluate.faults import EvaluationError

_LONGEST_ANSWER = 256  # the harness's own default

Ask = Callable[[dict[str, Any]], list[dict[str, Any]]]


class ServedModel(TemplateLM):  # type: ignore[misc]  # the harness has no types
    """Asks `/v1/completions` by `ask`: a request's fields to its choices, in the order of the prompts."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ask: Ask, *, max_length: int, batch_size: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._ask = ask
        self._batch_size = batch_size

    @property
    def eot_token_id(self) -> int:
        """Returns the token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """Returns the token behind which a text's first one is scored."""
        known = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if known is None else known)

    @property
    def tokenizer_name(self) -> str:
        """Returns what the harness names its cache of chat formats by."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """A text's tokens, with a single token at its beginning if the tokenizer puts one there."""
        if add_special_tokens is None:
            add_special_tokens = not string.startswith(str(self.tokenizer.decode([self.prefix_token_id])))
        return list(self.tokenizer.encode(string, add_special_tokens=add_special_tokens))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Returns messages as one text."""
        text = self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return str(text)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-probability of whole texts, in windows without overlap, the first token behind the prefix."""
        found = []
        for request in tqdm(requests, "texts", file=sys.stderr, disable=disable_tqdm):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0], add_special_tokens=False),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length - 1,
                context_len=1,
            )
            asked = [(("", ""), *make_disjoint_window(window)) for window in windows]
            found.append(sum(value for value, _ in self._loglikelihood_tokens(asked, disable_tqdm=True)))
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Returns what the model writes behind each text, up to the first of its ends."""
        bar = tqdm(requests, "answers", file=sys.stderr, disable=disable_tqdm)
        return [self._generate(*request.args) for request in bar]

    def _generate(self, context: str, options: dict[str, Any]) -> str:
        kwargs = normalize_gen_kwargs(options, _LONGEST_ANSWER)
        ends = handle_stop_sequences(
            kwargs.pop("until", None), eos=self.tokenizer.decode([self.eot_token_id], skip_special_tokens=False)
        )
        most = int(kwargs.pop("max_gen_toks"))
        if most >= self.max_length:
            raise EvaluationError(f"the task asks for {most} tokens, the server's context has {self.max_length}")
        is_drawn = kwargs.pop("do_sample", False)
        fields = {
            "prompt": self.tok_encode(context)[-(self.max_length - most) :],
            "max_tokens": most,
            "temperature": kwargs.pop("temperature", 1.0) if is_drawn else 0.0,
            **{name: kwargs[name] for name in ("top_p", "top_k") if is_drawn and name in kwargs},
        }
        [choice] = self._ask(fields)
        return str(postprocess_generated_text(generation=choice["text"], stop=ends, think_end_token=None))

    def _loglikelihood_tokens(self, requests: Sequence[Any], **options: Any) -> list[tuple[float, bool]]:
        found: list[tuple[float, bool]] = []
        bar = tqdm(total=len(requests), desc="answers", file=sys.stderr, disable=options.get("disable_tqdm", False))
        for batch in _batches(requests, self._batch_size):
            whole = [(context + continuation)[-(self.max_length - 1) :] for _, context, continuation in batch]
            fields = {"prompt": whole, "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}
            for ids, (_, _, continuation), choice in zip(whole, batch, self._ask(fields), strict=True):
                found.append(_scores(choice["logprobs"], len(ids) - len(continuation), len(ids)))
            bar.update(len(batch))
        bar.close()
        return found


def _scores(logprobs: dict[str, Any], begin: int, end: int) -> tuple[float, bool]:
    """The summed log-probability of the tokens from `begin` to `end`, and whether each was the likeliest.

    Raises EvaluationError for an answer that does not score the tokens of its prompt.
    """
    values, tops = logprobs["token_logprobs"], logprobs["top_logprobs"]
    if len(values) < end or any(value is None for value in values[begin:end]):
        raise EvaluationError("the server does not score the tokens of a prompt (`echo` with `logprobs`)")
    likeliest = [max(top.values()) for top in tops[begin:end]]
    is_greedy = all(value >= most for value, most in zip(values[begin:end], likeliest, strict=True))
    return float(sum(values[begin:end])), is_greedy


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
