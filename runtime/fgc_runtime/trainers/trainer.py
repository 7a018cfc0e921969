"""The training loop: data, model and arguments to a trained model, logs and checkpoints.

One loop for one process and for many. Every loss is a sum over label tokens divided by the number of label tokens of
the whole step, on all processes: how a step is cut into micro-batches, accumulation and processes does not change it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime import checkpoint, runs
from fgc_runtime.callbacks import JsonLogCallback, ProgressCallback, TrainerCallback, TrainerState, TrainingRun
from fgc_runtime.data.collator import Batch, CheckedCollator, DataCollatorForCausalLM
from fgc_runtime.data.windows import Window, length_of
from fgc_runtime.distributed import World, seed_everything
from fgc_runtime.output import open_missing_streams, outlive_readers, say
from fgc_runtime.trainers.arguments import IntervalStrategy, TrainingArguments, with_changes
from fgc_runtime.trainers.cautions import cautions
from fgc_runtime.trainers.checkpoints import Checkpoints, Moment, SaveFailed, compare, named
from fgc_runtime.trainers.evaluation import evaluate, note_best, require_metric
from fgc_runtime.trainers.factories import LRSchedulerFactory, OptimizerFactory, make_lr_scheduler, make_optimizer
from fgc_runtime.trainers.feed import ExampleDataset, checked_dataset, rows_of, train_share, train_windows
from fgc_runtime.trainers.fingerprint import Fingerprint, depends_on_length, fingerprint
from fgc_runtime.trainers.host_memory import keep_freed_memory
from fgc_runtime.trainers.hyperparameters import effect
from fgc_runtime.trainers.interrupts import Interrupts, TrainingInterrupted
from fgc_runtime.trainers.meter import Meter
from fgc_runtime.trainers.metrics import ComputeMetrics, Predictions, Preprocess, require_logits
from fgc_runtime.trainers.nonfinite import NonFiniteLoss, write_dump
from fgc_runtime.trainers.probes import keeps_documents_apart, require_known_terms
from fgc_runtime.trainers.ranks import common_facts, require_equal
from fgc_runtime.trainers.requests import Requests, agree
from fgc_runtime.trainers.run_folder import common_folder
from fgc_runtime.trainers.session import Session, phase
from fgc_runtime.trainers.stepper import Stepper
from fgc_runtime.trainers.strategies import DDP, Strategy
from fgc_runtime.trainers.training_loss import NextTokenLoss, TrainingLoss
from fgc_runtime.trainers.weight_average import WeightAverage


class Trainer:
    """Trains a causal language model.

    `model` is a model or a function that makes one; the function is called when random numbers have been seeded.
    Examples are what `data_collator` takes (by default a mapping with `input_ids`); a batch is a mapping with `labels`,
    the rest of it are the model's arguments. Data sets with a length are shuffled anew for each epoch; others are read
    in order and need `max_steps`. `optimizer_factory` is called with parameter groups, `lr_scheduler_factory` with the
    optimizer and, if it has such a parameter, `num_training_steps`. `callbacks` None: progress and a JSON log.
    `strategy` None: DDP, which on one process is the plain model. `loss` None: NextTokenLoss.
    After each evaluation `compute_metrics` is called with the predictions for all of its data (EvalPrediction), which
    `preprocess_logits_for_metrics` makes of a batch's logits and labels; None: the likeliest tokens.
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
        loss: TrainingLoss | None = None,
        compute_metrics: ComputeMetrics | None = None,
        preprocess_logits_for_metrics: Preprocess | None = None,
    ) -> None:
        self.args = args = with_changes(args)
        open_missing_streams()
        outlive_readers()
        self.world = World.connect(device=args.device, use_cpu=args.use_cpu, timeout_s=args.ddp_timeout)
        self.callbacks = [ProgressCallback(), JsonLogCallback()] if callbacks is None else list(callbacks)
        require_equal(self.world, common_facts(args, train_dataset, eval_dataset, self.callbacks))
        if args.float32_matmul_precision is not None:
            torch.set_float32_matmul_precision(args.float32_matmul_precision)
        seed_everything(args.seed)
        self.strategy = strategy or DDP()
        self.loss = loss or NextTokenLoss()
        whole = _made(model)
        if isinstance(self.loss, NextTokenLoss):
            require_known_terms(whole)
        takes_packed = keeps_documents_apart(whole)
        self.strategy.prepare(whole, self.loss, args, self.world)
        self.model = self.strategy.model
        self.train_dataset: Any = checked_dataset("train_dataset", train_dataset)
        self.eval_dataset: Any = checked_dataset("eval_dataset", eval_dataset)
        if args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(f"eval_strategy ({args.eval_strategy!r}) must be 'no' where there is no eval_dataset")
        if compute_metrics is not None:
            require_logits(self.strategy, args)
        require_metric(args, tuple(self.loss.weights), has_own_metrics=compute_metrics is not None)
        self._predictions = Predictions(compute_metrics, preprocess_logits_for_metrics) if compute_metrics else None
        self.data_collator = data_collator or DataCollatorForCausalLM(processing_class)
        config = self.model.config
        num_positions = getattr(config, "max_position_embeddings", None)
        self._collate = CheckedCollator(
            self.data_collator, int(config.vocab_size), num_positions, takes_packed=takes_packed
        )
        self.processing_class = processing_class
        self.optimizer_factory = optimizer_factory
        self.lr_scheduler_factory = lr_scheduler_factory
        self.output_dir = Path(args.output_dir)
        self.logging_dir = Path(args.logging_dir or args.output_dir)  # the run's own folder once a training has begun
        self.state = TrainerState(seed=args.seed, num_train_examples=length_of(train_dataset))
        self.log_history: list[dict[str, float]] = []
        self._metrics: dict[str, float] = {}  # of the newest evaluation
        self.fingerprint: Fingerprint = {}  # what the numbers of the training depend on, once it has begun
        self.resumed_from: Path | None = None
        self.why_ended: str | None = None  # of a run that ended before its last step and saved its model
        self._checkpoints = Checkpoints(args, self.strategy, processing_class)

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
        On Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP, or when a callback asks for a pause or an abort, raises
        TrainingInterrupted after the current step and, but for an abort, a checkpoint. Raises FloatingPointError,
        naming step and batch, if loss, gradient norm or, before a save, weights are not finite.
        """
        if self.train_dataset is None:
            raise ValueError("train_dataset (None) must be given to train")
        wanted = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        session = self._begin(wanted)
        checkpoint.code_of(self.model)  # reads it, before anybody edits it
        try:
            with session.meter.paused():
                self._dispatch(lambda callback: callback.on_train_begin(session.run))
            with session.interrupts:
                self._loop(session)
                return self._end(session)
        except (Exception, TrainingInterrupted) as error:
            if isinstance(error, NonFiniteLoss):
                error.add_note(f"its batch and a report are in {self._dump(error, session)}")
            self._checkpoints.let_go()
            raise
        finally:
            self._dispatch(lambda callback: callback.on_train_end(session.run))
            self.strategy.end()

    def _dump(self, error: NonFiniteLoss, session: Session) -> Path:
        """Writes what there is to find the reason by, beside the logs."""
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
        names = tuple(self.loss.weights)
        data, args, strategy = self.eval_dataset, self.args, self.strategy
        with self._checkpoints.shown_weights():
            return evaluate(
                data, self._collate, args, strategy, should_leave, term_names=names, predictions=self._predictions
            )

    def save_model(self, folder: str | Path | None = None) -> Path:
        """Write the model, loadable with `from_pretrained`, into `folder`, by default `args.output_dir`.

        Runs that share an output folder take turns there; `trained_by.json` says whose model it is.
        """
        target = Path(folder) if folder is not None else self.output_dir
        with self._checkpoints.shown_weights():
            self._publish(target, is_final=folder is None)
        self.world.wait()
        return target

    def _publish(self, target: Path, *, is_final: bool) -> None:
        full = self.strategy.full_model()
        if full is not None:
            with runs.turn_of(target, str(self.logging_dir)):
                names = checkpoint.publish_model(full.model, self.processing_class, target, state_dict=full.state_dict)
                runs.note_model(target, self.logging_dir, self.state.global_step)
                if is_final and self.logging_dir != target and not self._checkpoints.has_own:
                    checkpoint.keep_model(target, names, self.logging_dir / "model")  # until the next run's come

    def _begin(self, resume: bool | str | Path) -> Session:
        self.model.train()
        if self.world.device.type == "cpu":
            keep_freed_memory()
        optimizer = make_optimizer(self.model, self.optimizer_factory, self.args)
        scheduler = make_lr_scheduler(
            optimizer, self.lr_scheduler_factory, self.args, num_training_steps=self.max_steps
        )
        for caution in cautions(optimizer, scheduler, max_steps=self.max_steps):
            self._warn(caution)
        seed_everything(self.args.seed + self.strategy.dropout_stream)  # dropout differs between processes
        stepper = Stepper(self.strategy, optimizer, scheduler, self.args)
        has_length = depends_on_length(self.lr_scheduler_factory, self.args)
        print_of_run = fingerprint(
            self.args,
            self.strategy.architecture,
            optimizer,
            self.train_dataset,
            loss=self.loss,
            examples_per_step=train_share(self.args, self.strategy).window_size,
            schedule=self.lr_scheduler_factory or self.args.lr_scheduler_type,
            schedule_steps=self.max_steps if has_length else None,
        )
        self.fingerprint = print_of_run
        self._compare_ranks()
        if self.args.ema_decay is not None:
            self._checkpoints.average = WeightAverage(self.model, self.args.ema_decay)
        self._resume(resume, stepper, print_of_run)
        self.logging_dir = common_folder(self.args, self.world)
        self._checkpoints.begin(self.args, self.logging_dir)
        interrupts = Interrupts(is_announced=self.world.is_main)
        run, meter = self._as_callbacks_see_it(), Meter(self.world, self.state, tuple(self.loss.weights))
        return Session(run, stepper, meter, replace(self.state), interrupts, print_of_run)

    def _compare_ranks(self) -> None:
        """Raises RanksDiffer unless all processes have the same data and settings; stages may differ in optimizers."""
        is_whole = self.strategy.holds_whole_model
        shared = {name: value for name, value in self.fingerprint.items() if is_whole or "optimizer" not in name}
        require_equal(self.world, {**shared, "number of steps": self.max_steps})

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
            counts=self.strategy.counts,
            add_stages=self.strategy.add_stages,
        )

    def _resume(self, wanted: bool | str | Path, stepper: Stepper, now: Fingerprint) -> None:
        folder = self._checkpoints.chosen(wanted)
        if folder is None:
            return
        changes = compare(folder, now, is_told=self.args.resume_anyway)
        saved = self._checkpoints.restore(folder, stepper, changes)
        state = TrainerState.from_record(dict(saved.counters))
        for change in changes:
            self._say(
                f"Changed since the checkpoint: {change.sentence}; {effect(change, next_step=state.global_step + 1)}"
            )
        self.state = replace(state, seed=self.state.seed, num_train_examples=self.state.num_train_examples)
        self._metrics = checkpoint.metrics_of(folder)
        self.log_history = [dict(record) for record in saved.log_history]  # type: ignore[arg-type]  # numbers
        for name, callback in named(self.callbacks):
            if name in saved.callbacks:
                callback.load_state_dict(saved.callbacks[name])
        if len(saved.random_states) != self.world.size:
            self._say(
                f"The checkpoint is of {len(saved.random_states)} processes, this run has {self.world.size}: the data "
                "goes on at the same example; dropout draws other numbers"
            )
        if self.world.rank < len(saved.random_states):
            saved.random_states[self.world.rank].restore()
        self.resumed_from = folder
        self._say(f"Resuming at step {self.state.global_step} from {folder}")

    def _loop(self, session: Session) -> None:
        windows = train_windows(self.train_dataset, self._collate, self.args, self.strategy, self.state)
        if self.state.is_evaluation_due and self.eval_dataset is not None:
            self._evaluate_in_training(session)
        while self.state.global_step < session.run.max_steps:
            window = next(windows)
            counts = [window.num_label_tokens, len(window.micro_batches)]
            (num_label_tokens, num_micro_batches), requests = self._agree(
                session, [count * self.strategy.is_counted for count in counts]
            )
            if requests.should_evaluate and not requests.should_leave:
                self._evaluate_in_training(session)
            if self._answer(session, requests):
                return
            self._step(session, window, num_label_tokens, num_micro_batches)

    def _agree(self, session: Session, counts: Sequence[int] = ()) -> tuple[list[int], Requests]:
        """One exchange per step tells every process the label tokens of all, and what any of them was asked for."""
        self._dispatch(lambda callback: callback.on_poll(session.run))
        own = [*counts, int(self._checkpoints.is_done), int(session.meter.has_bad)]
        (*sums, num_saved, num_bad), requests = agree(self.world, session.run.control, session.interrupts, own)
        if num_bad:
            session.meter.settle()
        if num_saved == self.world.size:
            self._finish_save(session)
        if requests.intervals:
            self._change_intervals(session, requests.intervals)
        return sums, requests

    def _change_intervals(self, session: Session, intervals: Mapping[str, int]) -> None:
        """Take over what was asked for; what cannot be with the other arguments does not end a training."""
        session.run.control.intervals_problem = None
        try:
            self.args = replace(self.args, **intervals)  # type: ignore[arg-type]  # names of whole numbers
        except ValueError as problem:
            session.run.control.intervals_problem = str(problem)
            self._warn(f"intervals stay as they are: {problem}")
        session.run.arguments = asdict(self.args)

    def _step(self, session: Session, window: Window, num_label_tokens: int, num_micro_batches: int) -> None:
        is_logged = self._is_logged(window)
        session.run.is_step_logged = (
            is_logged or self.state.global_step + 1 == session.run.max_steps
        )  # logged at the end
        loss_sum = session.stepper.step(
            window,
            num_label_tokens,
            lambda: self._dispatch(lambda callback: callback.on_pre_optimizer_step(session.run)),
        )
        if self._checkpoints.average is not None:
            self._checkpoints.average.update()
        state = self.state
        state.global_step += 1
        state.num_micro_batches += num_micro_batches
        state.num_examples += window.num_examples
        state.examples_in_epoch += window.num_examples
        state.stream = window.stream_state
        state.num_tokens += num_label_tokens
        session.meter.record(loss_sum, num_label_tokens, window, session.stepper.watched_norm)
        self._dispatch(lambda callback: callback.on_step_end(session.run))
        if is_logged:
            self._log_training(session)
        is_last = self.args.eval_strategy != "no" and state.global_step == session.run.max_steps
        if is_last or _is_due(self.args.eval_strategy, self.args.eval_steps, state.global_step, window):
            self._evaluate_in_training(session)  # before the save, which keeps the metrics
        if _is_due(self.args.save_strategy, self.args.save_steps, state.global_step, window):
            self._save_checkpoint(session)
        if window.ends_epoch and self.args.dataloader_num_workers:
            self._finish_save(session)  # the next epoch forks processes, which should not find a lock of the writer's

    def _is_logged(self, window: Window) -> bool:
        """Returns True if the step that comes ends with a record."""
        step = self.state.global_step + 1
        is_first = step == 1 and self.args.logging_first_step
        return is_first or _is_due(self.args.logging_strategy, self.args.logging_steps, step, window)

    def _end(self, session: Session) -> dict[str, float]:
        """A last evaluation and checkpoint, unless the last step has them; what is not logged yet; the totals.

        A run that was stopped early does not evaluate once more: it was told to end.
        """
        session.meter.settle()
        is_ended = self._answer(session, self._agree(session)[1])
        if not is_ended and self.args.eval_strategy != "no" and self.state.evaluated_step != self.state.global_step:
            self._evaluate_in_training(session)
            self._answer(session, self._agree(session)[1])
        if self.args.save_strategy != "no" and self._checkpoints.newest_step != self.state.global_step:
            self._save_checkpoint(session)  # before the log, which a longer run would not write here
        self._finish_save(session)
        if self.state.unlogged_tokens and self.args.logging_strategy != "no":
            self._log_training(session)
        totals = session.totals(self.state)
        if session.begin.global_step < session.run.max_steps:
            self._log(session.run, totals)
        else:
            self._say(f"Nothing was left to train: the checkpoint is of step {self.state.global_step}, the last one")
        if self.args.load_best_model_at_end:
            self._load_best(session)
        return totals

    def _load_best(self, session: Session) -> None:
        best = self.world.from_main(self._checkpoints.best() if self.world.is_main else [])
        if not best:
            self._warn(f"no checkpoint has {self.args.metric_for_best_model} to be the best by: the model is the last")
            return
        self._checkpoints.load_weights(best[0], session.stepper.optimizer)
        self._say(f"The model is that of {best[0].name}: {self.args.metric_for_best_model} {self.state.best_metric}")

    def _answer(self, session: Session, requests: Requests) -> bool:
        """Save if that was asked for; whether to end like a finished run. Raises TrainingInterrupted otherwise."""
        if requests.should_save:
            if self.state.global_step == 0:  # an optimizer has no state yet: after the first step
                session.run.control.should_save = True
            else:
                self._save_checkpoint(session)
        if not requests.should_leave:
            return False
        position = f"step {self.state.global_step} of {session.run.max_steps}"
        if requests.should_abort:
            self._say(f"Aborted at {position}; nothing more has been written")
            raise TrainingInterrupted(1, None)
        if requests.received is None and not requests.should_pause:
            self.why_ended = session.run.control.reason
            return True
        exit_code = 128 + requests.received if requests.received else 0
        if self.state.global_step == 0:
            self._say(f"Stopped at {position}: there is nothing to save yet")
            raise TrainingInterrupted(exit_code, None)
        folder = self._save_checkpoint(session)
        self._finish_save(session)
        if self._checkpoints.newest_step != self.state.global_step:  # a failed save leaves no newest step
            raise SaveFailed(f"{folder.name} could not be written when the run had to stop")
        self._say(
            f"Stopped at {position}. The checkpoint is {folder}; "
            "go on from it with --resume (resume_from_checkpoint: true)"
        )
        raise TrainingInterrupted(exit_code, folder)

    def _log_training(self, session: Session) -> None:
        self._require_labels(session)
        record = session.meter.take()
        if session.stepper.grad_norm is not None:
            record["grad_norm"] = session.stepper.grad_norm.item()
        record["learning_rate"] = session.stepper.learning_rate
        self._dispatch(lambda callback: callback.on_record(session.run, record))
        self._log(session.run, record)

    def _require_labels(self, session: Session) -> None:
        """Raises ValueError if there was nothing to learn so far; warns of examples that have nothing."""
        done, cut = self.state.num_examples, "a conversation may be cut before its answer (max_length)"
        if self.state.num_tokens == 0:
            raise ValueError(f"labels: none of the labels of all {done} examples so far counts, all are -100: {cut}")
        unlabelled = session.meter.take_unlabelled()
        if unlabelled:
            of_process = "" if self.world.size == 1 else " of this process"
            self._warn(
                f"{unlabelled} examples{of_process}, of {done} in all, teach nothing: all their labels are -100; {cut}"
            )

    def _log(self, run: TrainingRun, record: Mapping[str, float]) -> None:
        self.log_history.append({"step": self.state.global_step, **record})
        self._dispatch(lambda callback: callback.on_log(run, record))

    def _evaluate_in_training(self, session: Session) -> None:
        with session.meter.paused(), phase(session.run, "evaluating"):
            self.state.is_evaluation_due = True  # also in a checkpoint that is asked for meanwhile
            metrics = self._evaluate(lambda: self._is_called_away(session))
            if metrics is None:
                return
            self.state.evaluated_step, self.state.is_evaluation_due = self.state.global_step, False
            self._metrics = metrics
            note_best(self.state, metrics, self.args)
            self._log(session.run, metrics)
            with self._checkpoints.shown_weights():
                self._dispatch(lambda callback: callback.on_evaluate(session.run, metrics))

    def _is_called_away(self, session: Session) -> bool:
        """Returns True if an evaluation should end before its time; saves at once if that is what was asked for."""
        _, requests = self._agree(session)
        if requests.should_save:
            self._save_checkpoint(session)
        return requests.should_leave

    def _save_checkpoint(self, session: Session) -> Path:
        """Begin to write a checkpoint of this moment; training goes on when everything has been copied."""
        with session.meter.paused(), phase(session.run, "saving"):
            session.meter.require_finite_weights(self.model)
            self._finish_save(session)
            metrics = self._metrics if self.state.evaluated_step == self.state.global_step else {}
            moment = Moment(replace(self.state), metrics, self.log_history)
            folder = self._checkpoints.start(moment, session.stepper, self.callbacks, session.fingerprint)
            if not self.args.async_save:
                self._finish_save(session)
        return folder

    def _finish_save(self, session: Session) -> checkpoint.Saved | None:
        """Wait for the checkpoint that is being written, if any. Raises SaveFailed."""
        saved = self._checkpoints.finish()
        if saved is None:
            return None
        folder, problem = saved.folder, saved.problem
        if problem is None:
            self._dispatch(lambda callback: callback.on_save(session.run, folder))
        else:
            self._dispatch(lambda callback: callback.on_save_failed(session.run, folder, problem))
        return saved

    def _dispatch(self, event: Callable[[TrainerCallback], None]) -> None:
        for callback in self.callbacks:
            event(callback)

    def _say(self, text: str) -> None:
        if self.world.is_main:
            say(text)

    def _warn(self, text: str) -> None:
        if self.world.is_main:
            say(f"warning: {text}", is_warning=True)


def _made(model: object) -> PreTrainedModel:
    """The model, which a function may make. Raises ValueError for what is no model of transformers."""
    made = model() if callable(model) and not isinstance(model, nn.Module) else model
    if isinstance(made, PreTrainedModel):
        return made
    is_adapted = type(made).__module__.partition(".")[0] == "peft"
    reason = "; peft's adapters cannot be trained here: merge them, or train the model itself" if is_adapted else ""
    raise ValueError(f"model ({type(made).__name__}) must be a PreTrainedModel, or a function that makes one{reason}")


def _is_due(strategy: IntervalStrategy, every_steps: int, step: int, window: Window) -> bool:
    if strategy == "steps":
        return step % every_steps == 0
    return strategy == "epoch" and window.ends_epoch
