"""The model's own words at every evaluation: continuations of fixed prompts, printed and kept in `samples.txt`."""

from collections.abc import Sequence

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.generate.continuing import continued
from fgc_runtime.models.modes import evaluating
from fgc_runtime.output import say


class TextSampleCallback(TrainerCallback):
    """Continues each prompt by `max_new_tokens`; with `temperature` 0 by the likeliest token, otherwise sampled.

    Samples use a random state of their own: a run with this callback computes the same weights as one without.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        top_k: int = 50,
        seed: int = 0,
    ) -> None:
        if not prompts:
            raise ValueError("prompts must contain at least one text")
        self.prompts = list(prompts)
        self.seed = seed
        self._generation: dict[str, int | float] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
        if temperature > 0:
            self._generation |= {"temperature": temperature, "top_k": top_k}

    def on_train_begin(self, run: TrainingRun) -> None:
        """Refuse a run that has no tokenizer before any time is spent on it."""
        if run.tokenizer is None:
            raise ValueError("TextSampleCallback needs the trainer's processing_class: the tokenizer of the prompts")
        if run.is_main and not run.is_model_whole:
            say("No text samples: they need the whole model in one process, which this strategy divides")

    def on_evaluate(self, run: TrainingRun, metrics: Logs) -> None:
        """Print one sample per prompt."""
        if not run.is_main or not run.is_model_whole:
            return
        samples = [self._sample(run, prompt) for prompt in self.prompts]
        text = "\n".join(f"--- step {run.state.global_step}: {sample}" for sample in samples)
        say(text)
        run.logging_dir.mkdir(parents=True, exist_ok=True)
        with (run.logging_dir / "samples.txt").open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def _sample(self, run: TrainingRun, prompt: str) -> str:
        assert run.tokenizer is not None, "on_train_begin refuses a run without one"
        with evaluating(run.model):
            tokens = continued(run.model, run.tokenizer, prompt, seed=self.seed, **self._generation)
        text = run.tokenizer.decode(tokens, skip_special_tokens=True)
        assert isinstance(text, str), "one sequence decodes to one text"
        return text
