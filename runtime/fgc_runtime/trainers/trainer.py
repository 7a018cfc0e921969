"""The training loop: data, model and arguments to a trained model, logs and checkpoints.

One loop for one process and for many. Every loss is a sum over label tokens divided by the number of label tokens of
the whole step, on all processes: how a step is cut into micro-batches, accumulation and processes does not change it.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime import checkpoint
from fgc_runtime.callbacks import JsonLogCallback, ProgressCallback, TrainerCallback, TrainerState, TrainingRun
from fgc_runtime.callbacks.base import Phase
from fgc_runtime.data.collator import Batch, CheckedCollator, DataCollatorForCausalLM
from fgc_runtime.data.windows import Window, length_of
from fgc_runtime.distributed import World, seed_everything
from fgc_runtime.trainers.arguments import IntervalStrategy, TrainingArguments
from fgc_runtime.trainers.factories import LRSchedulerFactory, OptimizerFactory, make_lr_scheduler, make_optimizer
from fgc_runtime.trainers.feed import ExampleDataset, eval_windows, rows_of, train_share, train_windows
from fgc_runtime.trainers.interrupts import Interrupts, TrainingInterrupted
from fgc_runtime.trainers.meter import Meter
from fgc_runtime.trainers.nonfinite import NonFiniteLoss, write_dump
from fgc_runtime.trainers.requests import Requests, agree
from fgc_runtime.trainers.stepper import Stepper
from fgc_runtime.trainers.strategies import DDP, Strategy

_MAX_EXPONENT = 700  # e to the 710 exceeds a float


class Trainer:
    """Trains a causal language model.

    `model` is a model or a function that makes one; the function is called when random numbers have been seeded.
    Examples are what `data_collator` takes (by default a mapping with `input_ids`); a batch is a mapping with `labels`,
    the rest of it are the model's arguments. Data sets with a length are shuffled anew for each epoch; others are read
    in order and need `max_steps`. `optimizer_factory` is called with parameter groups, `lr_scheduler_factory` with the
    optimizer and, if it has such a parameter, `num_training_steps`. `callbacks` None: progress and a JSON log.
    `strategy` None: DDP, which on one process is the plain model.
    """

    def __init__(
        self,
        model: PreTrainedModel | Callable[[], PreTrainedModel],
        args: TrainingArguments,
        *,
        train_dataset: ExampleDataset | None = None,
        eval_dataset: ExampleDataset | None = None,
        data_collator: Callable[[Any], Batch] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: Sequence[TrainerCallback] | None = None,
        optimizer_factory: OptimizerFactory | None = None,
        lr_scheduler_factory: LRSchedulerFactory | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        self.args = args
        self.world = World.connect(device=args.device, use_cpu=args.use_cpu)
        if args.float32_matmul_precision is not None:
            torch.set_float32_matmul_precision(args.float32_matmul_precision)
        seed_everything(args.seed)
        self.strategy = strategy or DDP()
        self.strategy.prepare(model if isinstance(model, PreTrainedModel) else model(), args, self.world)
        self.model = self.strategy.model
        self.train_dataset: Any = _checked("train_dataset", train_dataset)
        self.eval_dataset: Any = _checked("eval_dataset", eval_dataset)
        if args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(f"eval_strategy ({args.eval_strategy!r}) must be 'no' where there is no eval_dataset")
        self.data_collator = data_collator or DataCollatorForCausalLM(processing_class)
        self._collate = CheckedCollator(self.data_collator, int(self.model.config.vocab_size))
        self.processing_class = processing_class
        self.callbacks = [ProgressCallback(), JsonLogCallback()] if callbacks is None else list(callbacks)
        self.optimizer_factory = optimizer_factory
        self.lr_scheduler_factory = lr_scheduler_factory
        self.output_dir = Path(args.output_dir)
        self.logging_dir = self.world.from_main(_logging_dir(args))
        self.state = TrainerState(seed=args.seed, num_train_examples=length_of(train_dataset))
        self._saved_step: int | None = None  # of the newest checkpoint of this run
        self._evaluated_step: int | None = None  # of the newest evaluation
        self._stale_after_step: int | None = -1  # later checkpoints are an earlier run's; None: they have been moved

    @property
    def max_steps(self) -> int:
        """Optimizer steps of the whole run. Raises ValueError where neither arguments nor data say."""
        if self.args.max_steps > 0:
            return self.args.max_steps
        length = self.state.num_train_examples
        if length is None:
            raise ValueError("max_steps (-1) must be above 0: train_dataset has no length to count epochs by")
        steps_per_epoch = math.ceil(length / train_share(self.args, self.strategy).window_size)
        return math.ceil(self.args.num_train_epochs * steps_per_epoch)

    def train(self, *, resume_from_checkpoint: bool | str | Path | None = None) -> dict[str, float]:
        """Run all steps that are left; returns the totals, which are also logged.

        `resume_from_checkpoint` takes the place of the argument of the same name unless it is None.
        On Ctrl-C, SIGTERM or SIGUSR1, or when a callback asks for a pause or an abort, raises TrainingInterrupted after
        the current step and, but for an abort, a checkpoint. Raises FloatingPointError if the loss is not a number.
        """
        if self.train_dataset is None:
            raise ValueError("train_dataset (None) must be given to train")
        wanted = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        session = self._begin(wanted)
        try:
            with session.meter.paused():
                self._dispatch(lambda callback: callback.on_train_begin(session.run))
            with session.interrupts:
                self._loop(session)
                return self._end(session)
        except NonFiniteLoss as error:
            error.add_note(f"its batch and a report are in {self._dump(error, session)}")
            raise
        finally:
            self._dispatch(lambda callback: callback.on_train_end(session.run))
            self.strategy.end()

    def _dump(self, error: NonFiniteLoss, session: "_Session") -> Path:
        """What there is to find the reason, beside the logs."""
        folder = self.logging_dir / f"not_finite_step_{error.origin.step}"
        numbers = {"learning_rate": session.stepper.learning_rate, "grad_norm": session.stepper.grad_norm}
        rows = rows_of(self.train_dataset, self.args, error.origin)
        write_dump(error, folder, model=self.model, world=self.world, rows=rows, **numbers)
        return folder

    def evaluate(self) -> dict[str, float]:
        """`eval_loss`, the mean over all label tokens of the evaluation data, its `perplexity`, and `eval_tokens`.

        Neither batch size nor number of processes changes the result; weights and random states stay as they are.
        """
        metrics = self._evaluate(lambda: False)
        assert metrics is not None, "nobody asked to leave"
        return metrics

    def _evaluate(self, should_leave: Callable[[], bool]) -> dict[str, float] | None:
        """`evaluate`; `should_leave` is asked before each batch, and where it says so there are no metrics."""
        if self.eval_dataset is None:
            raise ValueError("eval_dataset (None) must be given to evaluate")
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.world.device)
        num_tokens = 0
        was_training = self.model.training
        self.model.train(False)
        with torch.no_grad():
            for window in eval_windows(self.eval_dataset, self._collate, self.args, self.strategy):
                if should_leave():
                    self.model.train(was_training)
                    return None
                num_tokens += window.num_label_tokens * self.strategy.is_counted
                for batch in window.micro_batches:
                    loss_sum += self.strategy.loss(batch)
        self.model.train(was_training)
        total_loss, total_tokens = self.world.sum_floats([loss_sum.item(), num_tokens])
        if not total_tokens:
            raise ValueError("eval_dataset holds no label tokens: it is empty, or all of its labels are -100")
        loss = total_loss / total_tokens
        perplexity = math.exp(loss) if loss < _MAX_EXPONENT else math.inf
        return {"eval_loss": loss, "perplexity": perplexity, "eval_tokens": total_tokens}

    def save_model(self, folder: str | Path | None = None) -> Path:
        """Write the model, loadable with `from_pretrained`, into `folder`, by default `args.output_dir`."""
        target = Path(folder) if folder is not None else self.output_dir
        full = self.strategy.full_model()
        if full is not None:
            checkpoint.publish_model(full.model, self.processing_class, target, state_dict=full.state_dict)
        self.world.wait()
        return target

    def _begin(self, resume: bool | str | Path) -> "_Session":
        self.model.train()
        optimizer = make_optimizer(self.model, self.optimizer_factory, self.args)
        scheduler = make_lr_scheduler(
            optimizer, self.lr_scheduler_factory, self.args, num_training_steps=self.max_steps
        )
        seed_everything(self.args.seed + self.strategy.dropout_stream)  # dropout differs between processes
        self._resume(resume, optimizer, scheduler)
        stepper = Stepper(self.strategy, optimizer, scheduler, self.args)
        interrupts = Interrupts(is_announced=self.world.is_main)
        run, meter = self._as_callbacks_see_it(), Meter(self.world, self.state)
        return _Session(run, stepper, meter, replace(self.state), interrupts)

    def _as_callbacks_see_it(self) -> TrainingRun:
        return TrainingRun(
            state=self.state,
            model=self.model,
            tokenizer=self.processing_class,
            max_steps=self.max_steps,
            output_dir=self.output_dir,
            logging_dir=self.logging_dir,
            world=self.world,
            arguments=asdict(self.args),
            num_parameters=self.strategy.num_parameters,
            is_model_whole=self.strategy.holds_whole_model,
        )

    def _resume(self, wanted: bool | str | Path, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        folder = self.world.from_main(self._checkpoint_to_resume(wanted))
        if folder is None:
            return
        saved = TrainerState.from_record(checkpoint.read_trainer_state(folder))
        _warn_of_changes(saved, self.state)
        self.state = replace(saved, seed=self.state.seed, num_train_examples=self.state.num_train_examples)
        self._saved_step = saved.global_step
        self._stale_after_step = saved.global_step if folder.parent.resolve() == self._checkpoints.resolve() else -1
        checkpoint.load_weights(self.model, folder)
        random_state = checkpoint.load_training_state(
            folder, optimizer=optimizer, scheduler=scheduler, rank=self.world.rank
        )
        if random_state is not None:
            random_state.restore()
        self._say(f"Resuming at step {self.state.global_step} from {folder}")

    def _checkpoint_to_resume(self, wanted: bool | str | Path) -> Path | None:
        if isinstance(wanted, bool):
            return checkpoint.latest_checkpoint(self._checkpoints) if wanted else None
        return Path(wanted)

    def _loop(self, session: "_Session") -> None:
        windows = train_windows(self.train_dataset, self._collate, self.args, self.strategy, self.state)
        while self.state.global_step < session.run.max_steps:
            window = next(windows)
            (num_label_tokens, num_micro_batches), requests = self._agree(
                session, [n * self.strategy.is_counted for n in (window.num_label_tokens, len(window.micro_batches))]
            )
            if requests.should_evaluate and not requests.should_leave:
                self._evaluate_in_training(session)
            if self._answer(session, requests):
                return
            self._step(session, window, num_label_tokens, num_micro_batches)

    def _agree(self, session: "_Session", counts: Sequence[int] = ()) -> tuple[list[int], Requests]:
        """One exchange per step tells every process the label tokens of all, and what any of them was asked for."""
        self._dispatch(lambda callback: callback.on_poll(session.run))
        sums, requests = agree(self.world, session.run.control, session.interrupts, counts)
        if requests.intervals:
            self.args = replace(self.args, **requests.intervals)  # type: ignore[arg-type]  # names of whole numbers
        return sums, requests

    def _step(self, session: "_Session", window: Window, num_label_tokens: int, num_micro_batches: int) -> None:
        loss_sum = session.stepper.step(
            window,
            num_label_tokens,
            lambda: self._dispatch(lambda callback: callback.on_pre_optimizer_step(session.run)),
        )
        state = self.state
        state.global_step += 1
        state.num_micro_batches += num_micro_batches
        state.num_examples += window.num_examples
        state.examples_in_epoch += window.num_examples
        state.stream = window.stream_state
        state.num_tokens += num_label_tokens
        session.meter.record(loss_sum, num_label_tokens, window)
        self._dispatch(lambda callback: callback.on_step_end(session.run))
        is_first = state.global_step == 1 and self.args.logging_first_step
        if is_first or self._is_due(self.args.logging_strategy, self.args.logging_steps, window):
            self._log_training(session)
        if self._is_due(self.args.eval_strategy, self.args.eval_steps, window):
            self._evaluate_in_training(session)
        if self._is_due(self.args.save_strategy, self.args.save_steps, window):
            self._save_checkpoint(session)

    def _is_due(self, strategy: IntervalStrategy, every_steps: int, window: Window) -> bool:
        if strategy == "steps":
            return self.state.global_step % every_steps == 0
        return strategy == "epoch" and window.ends_epoch

    def _end(self, session: "_Session") -> dict[str, float]:
        """A last evaluation and checkpoint, unless the last step has them; what is not logged yet; the totals.

        A run that was stopped early does not evaluate once more: it was told to end.
        """
        session.meter.settle()
        is_ended = self._answer(session, self._agree(session)[1])
        if not is_ended and self.args.eval_strategy != "no" and self._evaluated_step != self.state.global_step:
            self._evaluate_in_training(session)
            self._answer(session, self._agree(session)[1])
        if self.args.save_strategy != "no" and self._saved_step != self.state.global_step:
            self._save_checkpoint(session)  # before the log, which a longer run would not write here
        if self.state.unlogged_tokens and self.args.logging_strategy != "no":
            self._log_training(session)
        totals = session.totals(self.state)
        self._log(session.run, totals)
        return totals

    def _answer(self, session: "_Session", requests: Requests) -> bool:
        """Save if that was asked for; whether to end like a finished run. Raises TrainingInterrupted otherwise."""
        if requests.should_save:
            self._save_checkpoint(session)
        if not requests.should_leave:
            return False
        position = f"step {self.state.global_step} of {session.run.max_steps}"
        if requests.should_abort:
            self._say(f"Aborted at {position}; nothing more has been written")
            raise TrainingInterrupted(1, None)
        if requests.received is None and not requests.should_pause:
            return True
        folder = self._save_checkpoint(session)
        self._say(
            f"Stopped at {position}. The checkpoint is {folder}; "
            "go on from it with --resume (resume_from_checkpoint: true)"
        )
        raise TrainingInterrupted(128 + requests.received if requests.received else 0, folder)

    def _log_training(self, session: "_Session") -> None:
        record = session.meter.take()
        if session.stepper.grad_norm is not None:
            record["grad_norm"] = session.stepper.grad_norm.item()
        record["learning_rate"] = session.stepper.learning_rate
        self._dispatch(lambda callback: callback.on_record(session.run, record))
        self._log(session.run, record)

    def _log(self, run: TrainingRun, record: Mapping[str, float]) -> None:
        self._dispatch(lambda callback: callback.on_log(run, record))

    def _evaluate_in_training(self, session: "_Session") -> None:
        with session.meter.paused(), _phase(session.run, "evaluating"):
            metrics = self._evaluate(lambda: self._is_called_away(session))
            if metrics is None:
                return
            self._evaluated_step = self.state.global_step
            self._log(session.run, metrics)
            self._dispatch(lambda callback: callback.on_evaluate(session.run, metrics))

    def _is_called_away(self, session: "_Session") -> bool:
        """Whether an evaluation should end before its time; saves at once if that is what was asked for."""
        _, requests = self._agree(session)
        if requests.should_save:
            self._save_checkpoint(session)
        return requests.should_leave

    def _save_checkpoint(self, session: "_Session") -> Path:
        folder = checkpoint.checkpoint_folder(self._checkpoints, self.state.global_step)
        with session.meter.paused(), _phase(session.run, "saving"):
            random_states = self.world.gather(checkpoint.RandomState.capture())
            if self.world.is_main:
                self._write_checkpoint(session.stepper, folder, random_states)
            self.world.wait()
            self._saved_step = self.state.global_step
            self._dispatch(lambda callback: callback.on_save(session.run, folder))
        return folder

    def _write_checkpoint(
        self, stepper: Stepper, folder: Path, random_states: Sequence[checkpoint.RandomState]
    ) -> None:
        if self._stale_after_step is not None:
            if aside := checkpoint.set_aside(self._checkpoints, after_step=self._stale_after_step):
                self._say(f"Moved the checkpoints of an earlier run to {aside}")
            self._stale_after_step = None
        with checkpoint.written_whole(folder) as unfinished:
            checkpoint.save_model(self.model, self.processing_class, unfinished)
            checkpoint.save_training_state(
                unfinished,
                trainer_state=asdict(self.state),
                optimizer=stepper.optimizer,
                scheduler=stepper.scheduler,
                random_states=random_states,
            )
        checkpoint.remove_old_checkpoints(self._checkpoints, limit=self.args.save_total_limit)

    @property
    def _checkpoints(self) -> Path:
        return self.output_dir / "checkpoints"

    def _dispatch(self, event: Callable[[TrainerCallback], None]) -> None:
        for callback in self.callbacks:
            event(callback)

    def _say(self, text: str) -> None:
        if self.world.is_main:
            print(text, flush=True)


class _Session(NamedTuple):
    """One call of `train`."""

    run: TrainingRun
    stepper: Stepper
    meter: Meter
    begin: TrainerState
    interrupts: Interrupts

    def totals(self, end: TrainerState) -> dict[str, float]:
        """What this call did, and how fast; evaluations and saves count for the runtime, not for the speeds."""
        running_s = self.meter.running_s
        num_steps = end.global_step - self.begin.global_step
        return {
            "train_runtime": self.meter.age_s,
            "train_steps": num_steps,
            "train_examples": end.num_examples - self.begin.num_examples,
            "train_tokens": self.meter.num_tokens,
            "train_steps_per_second": num_steps / running_s if num_steps else 0.0,
            "train_tokens_per_second": self.meter.num_tokens / running_s if num_steps else 0.0,
        }


@contextmanager
def _phase(run: TrainingRun, phase: Phase) -> Iterator[None]:
    """What the run does in the body, for those who ask."""
    before, run.phase = run.phase, phase
    yield
    run.phase = before


def _checked(name: str, dataset: ExampleDataset | None) -> ExampleDataset | None:
    if dataset is not None and length_of(dataset) == 0:
        raise ValueError(f"{name} ({type(dataset).__name__}) must not be empty")
    return dataset


def _logging_dir(args: TrainingArguments) -> Path:
    if args.logging_dir is not None:
        return Path(args.logging_dir)
    return Path(args.output_dir) / "runs" / f"{args.run_name}_{time.strftime('%Y-%m-%dT%H-%M-%S')}"


def _warn_of_changes(saved: TrainerState, now: TrainerState) -> None:
    """The data position is a count in an order that seed and length determine."""
    for name in ("seed", "num_train_examples"):
        if getattr(saved, name) != getattr(now, name):
            warnings.warn(
                f"{name} was {getattr(saved, name)} when the checkpoint was written and is {getattr(now, name)} now: "
                "the order of the data is another one, so some examples of this epoch are repeated and others left out",
                stacklevel=2,
            )
