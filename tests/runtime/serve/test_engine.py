"""The engine: each job's tokens are those the model gives it alone, whoever joins and leaves the batch."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from fgc_runtime.generate.engine import Engine
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.job import Delta, Event, Failure, Job, PromptScores
from fgc_runtime.generate.packed import PackedLayer
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.probe import fitting_rows
from fgc_runtime.generate.rows import PackedRows, RecomputedRows, SeparateRows
from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.generate.scaled_rows import LoneScaledRows, ScaledRows
from fgc_runtime.generate.scaling import Scaling
from fgc_runtime.generate.vocabulary import vocabulary_of
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.cache_utils import DynamicCache
from transformers.models.gpt2 import GPT2Config, GPT2LMHeadModel

_WAIT_S = 30
GREEDY = Sampling(temperature=0.0)
MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tokenizer: PreTrainedTokenizerFast) -> Iterator[MakeEngine]:
    made = []

    def make(model: PreTrainedModel, **options: int) -> Engine:
        made.append(Engine(Forward(model), vocabulary_of(tokenizer), **options))
        made[-1].start()
        return made[-1]

    yield make
    for engine in made:
        engine.stop()
        engine.join(_WAIT_S)


class Caller:
    """Submits jobs and waits for their ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._events: list[queue.SimpleQueue[Event]] = []

    def submit(self, job: Job) -> None:
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._events.append(events)
        self._engine.submit(job, events.put)

    def outcomes(self) -> list[list[Event]]:
        return [self._until_end(events) for events in self._events]

    def texts(self) -> list[str]:
        return ["".join(event.text for event in told if isinstance(event, Delta)) for told in self.outcomes()]

    @staticmethod
    def _until_end(events: "queue.SimpleQueue[Event]") -> list[Event]:
        told = []
        for _ in range(10_000):
            told.append(events.get(timeout=_WAIT_S))
            if isinstance(told[-1], Failure) or (isinstance(told[-1], Delta) and told[-1].finish):
                return told
        raise AssertionError("no end in 10,000 events")


def prompts(count: int, vocab_size: int = 380) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(7)
    return [tuple(torch.randint(4, vocab_size, (3 + 11 * i % 37,), generator=generator).tolist()) for i in range(count)]


def generated(model: PreTrainedModel, prompt: Sequence[int], num_tokens: int) -> list[int]:
    """What transformers' own generate gives the prompt alone; without an end token."""
    ids = torch.tensor([prompt])
    options = {"max_new_tokens": num_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    output = model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    return [int(token) for token in output[0, len(prompt) :]]


def assert_greedy_as_generate(engine: Engine, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    caller = Caller(engine)
    asked = [(prompt, 5 + 17 * i % 60) for i, prompt in enumerate(prompts(12))]
    for prompt, num_tokens in asked:
        caller.submit(Job(prompt, num_tokens, GREEDY))
    assert caller.texts() == [tokenizer.decode(generated(model, *each), skip_special_tokens=True) for each in asked]


def test_greedy_text_is_that_of_generate_alone(
    make_engine: MakeEngine, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    engine = make_engine(model, max_batch_size=5, chunk_size=16)  # jobs wait, join late, and prompts come in chunks
    assert engine.rows_kind is PackedRows
    assert_greedy_as_generate(engine, model, tokenizer)


def test_a_sliding_window_counts_positions_not_columns(
    make_engine: MakeEngine, tokenizer: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(
        vocab_size=380, num_key_value_heads=2, sliding_window=8, initializer_range=0.15, pad_token_id=None, **sizes
    )
    model = MistralForCausalLM(config).eval()
    engine = make_engine(model, max_batch_size=5)
    assert engine.rows_kind is PackedRows
    assert_greedy_as_generate(engine, model, tokenizer)


def test_learned_positions_count_tokens_not_columns(
    make_engine: MakeEngine, tokenizer: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=380, n_embd=64, n_layer=2, n_head=4, n_positions=128, initializer_range=0.15)
    model = GPT2LMHeadModel(config).eval()
    engine = make_engine(model, max_batch_size=5)
    assert engine.rows_kind is PackedRows
    assert_greedy_as_generate(engine, model, tokenizer)


class PaddingBlind(LlamaForCausalLM):
    """Takes a mask and positions, and ignores them."""

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, **rest):
        return super().forward(input_ids=input_ids, past_key_values=past_key_values, **rest)


class Cacheless(LlamaForCausalLM):
    """Knows no cache: what it is given first is all that it sees."""

    def forward(self, input_ids, **rest):
        return super().forward(input_ids=input_ids, use_cache=False)


@pytest.mark.parametrize(("kind", "rows"), [(PaddingBlind, SeparateRows), (Cacheless, RecomputedRows)])
def test_a_model_that_no_batch_fits_still_gets_its_own_text(
    kind: type[LlamaForCausalLM],
    rows: type,
    make_engine: MakeEngine,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    odd = kind(model.config).eval()
    odd.load_state_dict(model.state_dict())
    assert fitting_rows(Forward(odd)) is rows
    assert_greedy_as_generate(make_engine(odd, max_batch_size=4), model, tokenizer)


def test_a_seed_gives_the_same_text_in_any_company(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    job = Job(prompts(1)[0], 30, Sampling(temperature=0.9, top_p=0.95), seed=11)
    engine = make_engine(model, max_batch_size=8)
    alone, among = Caller(engine), Caller(engine)
    alone.submit(job)
    expected = alone.texts()[0]
    for prompt in prompts(5):
        among.submit(Job(prompt, 40, Sampling(), seed=None))
    among.submit(job)
    assert among.texts()[-1] == expected


def test_choices_differ_and_come_in_any_number(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine = make_engine(model, max_batch_size=2)  # five choices of one prompt take three waves
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(Job(prompts(1)[0], 8, Sampling(), num_choices=5, seed=1), events.put)
    texts = dict.fromkeys(range(5), "")
    open_choices = set(texts)
    for _ in range(200):
        event = events.get(timeout=_WAIT_S)
        assert isinstance(event, Delta)
        texts[event.choice] += event.text
        if event.finish:
            open_choices.remove(event.choice)
        if not open_choices:
            break
    assert not open_choices
    assert len(set(texts.values())) == 5


def test_prompt_scores_are_the_models_log_probabilities(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    prompt = prompts(4)[3]
    caller = Caller(make_engine(model, chunk_size=8))
    caller.submit(Job(prompt, 0, GREEDY, num_top=2, scores_prompt=True))
    scores, end = caller.outcomes()[0]
    assert isinstance(scores, PromptScores) and isinstance(end, Delta)
    with torch.no_grad():
        expected_TV = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
    assert [score.id for score in scores.tokens] == list(prompt)
    assert scores.tokens[0].logprob is None
    for position, score in enumerate(scores.tokens[1:]):
        assert score.logprob == pytest.approx(expected_TV[position, score.id].item(), abs=1e-4)
        assert score.top[0][1] == pytest.approx(expected_TV[position].max().item(), abs=1e-4)


def test_a_cancelled_job_frees_its_row_without_an_event(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine = make_engine(model, max_batch_size=1)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    ticket = engine.submit(Job(prompts(1)[0], 10**6, GREEDY, ignores_end=True), events.put)
    events.get(timeout=_WAIT_S)
    ticket.is_cancelled = True
    caller = Caller(engine)
    caller.submit(Job(prompts(1)[0], 3, GREEDY))
    assert len(caller.texts()) == 1


def test_a_short_job_ends_while_a_long_one_runs(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine = make_engine(model)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    long = engine.submit(Job(prompts(1)[0], 10**6, GREEDY, ignores_end=True), events.put)
    events.get(timeout=_WAIT_S)
    caller = Caller(engine)
    caller.submit(Job(prompts(1)[0], 3, GREEDY))
    assert len(caller.texts()) == 1
    assert engine.load.num_running >= 1
    long.is_cancelled = True


class Fragile(LlamaForCausalLM):
    """Fails where it sees token 5."""

    def forward(self, input_ids, **rest):
        if (input_ids == 5).any():
            raise RuntimeError("out of luck")
        return super().forward(input_ids=input_ids, **rest)


def test_a_prompt_that_fails_fails_alone(
    make_engine: MakeEngine, model: LlamaForCausalLM, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine(Fragile(model.config).eval())
    caller = Caller(engine)
    for prompt in ((9, 5, 9), (9, 8)):
        caller.submit(Job(prompt, 4, Sampling(logit_bias={5: -100.0})))
    failed, fine = caller.outcomes()
    assert failed == [Failure("RuntimeError: out of luck")]
    assert isinstance(fine[-1], Delta)
    assert "out of luck" in caplog.text


def test_a_failed_step_ends_the_batch_but_not_the_engine(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine = make_engine(Fragile(model.config).eval())
    caller = Caller(engine)
    caller.submit(Job((9, 8), 4, Sampling(logit_bias={5: 100.0})))
    assert isinstance(caller.outcomes()[0][-1], Failure)
    after = Caller(engine)
    after.submit(Job((9, 8), 4, Sampling(logit_bias={5: -100.0})))
    assert isinstance(after.outcomes()[0][-1], Delta)
    assert engine.is_alive


def test_stopping_gives_every_job_an_end(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine = make_engine(model, max_batch_size=1)
    caller = Caller(engine)
    for _ in range(3):
        caller.submit(Job(prompts(1)[0], 10**6, GREEDY, ignores_end=True))
    engine.stop()
    ends = [told[-1] for told in caller.outcomes()]
    assert ends == [Failure("the server is shutting down", is_shutdown=True)] * 3
    assert not engine.is_alive


def test_an_empty_prompt_is_a_caller_mistake(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        make_engine(model).submit(Job((), 1), lambda _: None)


ORIGINAL_LENGTH = 24
LONG = {"short_factor": [1.0] * 4, "long_factor": [3.0, 5.0, 7.0, 9.0], "factor": 8.0}
LONGROPE = {"rope_type": "longrope", **LONG, "original_max_position_embeddings": ORIGINAL_LENGTH}
SCALINGS = {
    "dynamic": (LlamaForCausalLM, LlamaConfig, {"rope_type": "dynamic", "factor": 4.0}, ORIGINAL_LENGTH),
    "longrope": (Phi3ForCausalLM, Phi3Config, LONGROPE, 192),
    "nested": (LlamaForCausalLM, LlamaConfig, LONGROPE, 192),
    "linear": (LlamaForCausalLM, LlamaConfig, {"rope_type": "linear", "factor": 4.0}, 192),
    "yarn": (
        LlamaForCausalLM,
        LlamaConfig,
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": ORIGINAL_LENGTH},
        192,
    ),
}


def scaled_model(kind: str) -> PreTrainedModel:
    torch.manual_seed(1)
    model_class, config_class, scaling, length = SCALINGS[kind]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    if config_class is Phi3Config:
        sizes["original_max_position_embeddings"] = ORIGINAL_LENGTH  # which other configurations have nested only
    config = config_class(
        vocab_size=380,
        max_position_embeddings=length,
        rope_parameters={"rope_theta": 100.0, **scaling},
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=None,
        **sizes,
    )
    return model_class(config).eval()


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "linear", "yarn"])
def test_positions_that_are_scaled_by_length_are_scaled_by_the_texts_own(
    kind: str, make_engine: MakeEngine, tokenizer: PreTrainedTokenizerFast
) -> None:
    engine = make_engine(scaled_model(kind), max_batch_size=4, chunk_size=16)
    assert engine.rows_kind is (ScaledRows if kind in ("dynamic", "longrope") else PackedRows)
    caller = Caller(engine)
    asked = [(prompt, 12) for prompt in prompts(9) if not ORIGINAL_LENGTH - 12 <= len(prompt) < ORIGINAL_LENGTH]
    asked += [((5, 6, 7, 8) * 5, 12), ((9, 8, 7) * 20, 6)]  # grows over the border, and is long from the start
    for prompt, num_tokens in asked:
        caller.submit(Job(prompt, num_tokens, GREEDY))
    alone = [generated(scaled_model(kind), prompt, num_tokens) for prompt, num_tokens in asked]
    assert caller.texts() == [tokenizer.decode(ids, skip_special_tokens=True) for ids in alone]


def test_a_model_of_longrope_that_names_no_length_is_read_anew_for_each_token() -> None:
    forward = Forward(scaled_model("longrope"))
    forward.scaling = Scaling(None, rereads=True)
    assert fitting_rows(forward) is RecomputedRows


def test_a_model_that_is_scaled_and_keeps_a_state_has_the_cache_of_its_layers() -> None:
    config = Lfm2Config(
        vocab_size=380,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        layer_types=["conv", "full_attention"],
        max_position_embeddings=ORIGINAL_LENGTH,
        rope_parameters={"rope_theta": 100.0, "rope_type": "dynamic", "factor": 4.0},
    )
    assert fitting_rows(Forward(Lfm2ForCausalLM(config).eval())) is LoneScaledRows


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "nested"])
def test_texts_that_are_scaled_alike_share_a_forward(kind: str) -> None:
    forward = Forward(scaled_model(kind))
    rows, rereads = ScaledRows(forward), kind != "dynamic"
    assert forward.scaling == Scaling(ORIGINAL_LENGTH, rereads)
    lengths = [5, 30, ORIGINAL_LENGTH - 1, 40, 9, ORIGINAL_LENGTH]
    texts = [[(7 * row + place) % 380 for place in range(length)] for row, length in enumerate(lengths)]
    with torch.inference_mode():
        for text in texts:
            prefill = Prefill(forward, rows, text)
            prefill.advance(10**6)
            rows.join(prefill.cache, text)
        long = [[1, 3]] if rereads else [[1], [3], [5]]
        anew = [[5]] if rereads else []
        assert rows.batches() == [[0, 2, 4], *long, *anew]
        rows.leave(0)  # the last row takes its number
        texts[0] = texts.pop()
        for _ in range(3):
            for batch in rows.batches():
                for row, logits_V in zip(batch, rows.step(batch, [3] * len(batch)), strict=True):
                    texts[row].append(3)
                    alone_V = forward([texts[row]])[0]
                    if rereads or len(texts[row]) <= ORIGINAL_LENGTH:
                        torch.testing.assert_close(logits_V, alone_V, rtol=1e-3, atol=1e-3)
        long = [[1, 3, 0, 2]] if rereads else [[1], [3], [0], [2]]
        assert rows.batches() == [[4], *long]


def texts_alone(model: PreTrainedModel, asked: Sequence[tuple[tuple[int, ...], int]], tokenizer: object) -> list[str]:
    return [tokenizer.decode(generated(model, *each), skip_special_tokens=True) for each in asked]


def test_a_long_text_has_a_batch_of_its_own(model: LlamaForCausalLM) -> None:
    forward = Forward(model)
    rows = PackedRows(forward)
    lengths = [5, 2000, 40, 3000, 7]
    for length in lengths:
        cache = DynamicCache()
        for layer in range(3):
            cache.update(torch.zeros(1, 2, length, 24), torch.zeros(1, 2, length, 24), layer)
        rows.join(cache, [0] * length)
    assert rows.batches() == [[0, 2, 4], [1, 3]]
    rows.leave(1)  # the last row takes its number
    assert sorted(map(sorted, rows.batches())) == [[0, 1, 2], [3]]
    rows.leave(3)
    assert sorted(rows.batches()[0]) == [0, 1, 2] and len(rows.batches()) == 1


class FailsNow(LlamaForCausalLM):
    """Raises in its last layer in the forward passes that `when` names, by their number of rows and tokens."""

    when: Callable[[int, int], Exception | None] = staticmethod(lambda rows, tokens: None)

    def forward(self, input_ids, attention_mask=None, position_ids=None, **rest):
        given = {"attention_mask": attention_mask, "position_ids": position_ids}
        output = super().forward(input_ids=input_ids, **given, **rest)
        error = type(self).when(*input_ids.shape)
        if error is not None:
            raise error
        return output


def test_texts_that_run_out_of_memory_are_read_again_and_stay_the_same(
    make_engine: MakeEngine,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = FailsNow(model.config).eval()
    odd.load_state_dict(model.state_dict())
    engine = make_engine(odd, max_batch_size=5)
    monkeypatch.setattr(
        FailsNow, "when", lambda rows, tokens: torch.OutOfMemoryError("no") if rows > 3 and tokens == 1 else None
    )
    assert_greedy_as_generate(engine, model, tokenizer)
    assert engine.load.num_preemptions > 0


def test_a_buffer_that_cannot_grow_leaves_all_layers_as_they_were(
    make_engine: MakeEngine,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, make = [0], PackedLayer.buffers

    def sometimes(layer: PackedLayer, num_rows: int, num_columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        calls[0] += 1
        if calls[0] % 5 == 0:  # three layers: the failure moves from one to the next
            raise MemoryError
        return make(layer, num_rows, num_columns)

    engine = make_engine(model, max_batch_size=5)
    monkeypatch.setattr(PackedLayer, "buffers", sometimes)
    assert_greedy_as_generate(engine, model, tokenizer)
    assert calls[0] >= 10


@pytest.mark.parametrize("kind", [FailsNow, PaddingBlind])
def test_a_budget_holds_by_waiting_and_stepping_back(
    kind: type[LlamaForCausalLM],
    make_engine: MakeEngine,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    odd = kind(model.config).eval()
    odd.load_state_dict(model.state_dict())
    bytes_per_token = 3 * 2 * 2 * 24 * 4  # layers, keys and values, heads, channels, float32
    engine = make_engine(odd, max_batch_size=5, kv_memory_bytes=160 * 3 * bytes_per_token)
    assert engine.max_tokens == 160
    assert_greedy_as_generate(engine, model, tokenizer)
    assert engine.load.num_preemptions > 0


def test_a_prompt_that_begins_like_an_earlier_text_reads_only_what_is_new(
    make_engine: MakeEngine, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    engine = make_engine(model)
    first = prompts(9)[3] * 2  # 72 tokens
    answer = generated(model, first, 30)
    turn = (*first, *answer, 7, 8, 9)
    other = (*first[:50], *prompts(2)[1] * 3)
    for prompt, num_new in ((first, 72), (first, 1), (turn, 4), (other, len(other) - 50), ((5, *first), 73)):
        before, caller = engine.load.num_prompt_tokens, Caller(engine)
        caller.submit(Job(prompt, 30, GREEDY))
        assert caller.texts() == texts_alone(model, [(prompt, 30)], tokenizer)
        assert engine.load.num_prompt_tokens - before == num_new
    scored = Caller(engine)
    scored.submit(Job(first, 1, GREEDY, num_top=0, scores_prompt=True))
    scores = next(event for event in scored.outcomes()[0] if isinstance(event, PromptScores))
    assert len(scores.tokens) == len(first)


def test_a_short_prompt_is_read_beside_a_long_one(make_engine: MakeEngine, model: LlamaForCausalLM) -> None:
    engine, order = make_engine(model, chunk_size=16), []
    done = threading.Event()

    def told(name: str) -> Callable[[Event], None]:
        def sink(event: Event) -> None:
            if isinstance(event, Delta) and name not in order:
                order.append(name)
                if len(order) == 3:
                    done.set()

        return sink

    for name, length in (("long", 200), ("longer", 240), ("short", 6)):
        engine.submit(Job(tuple(range(4, 4 + length)), 2, GREEDY), told(name))
    assert done.wait(_WAIT_S)
    assert order == ["short", "long", "longer"]
