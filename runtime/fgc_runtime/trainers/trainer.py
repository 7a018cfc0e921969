"""Data, model and arguments to a trained model, logs and checkpoints: what is made before the loop runs, and after it.

The loop itself is `trainers/loop/loop.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime import checkpoint, runs
from fgc_runtime.callbacks import JsonLogCallback, ProgressCallback, TrainerCallback, TrainerState, TrainingRun
from fgc_runtime.data.collator import Batch, CheckedCollator, DataCollatorForCausalLM
from fgc_runtime.data.windows import is_stream, length_of
from fgc_runtime.distributed import World, seed_everything
from fgc_runtime.finetune import has_adapter
from fgc_runtime.full_disk import file_error
from fgc_runtime.output import open_missing_streams, outlive_readers, say
from fgc_runtime.trainers.arguments import TrainingArguments, with_changes
from fgc_runtime.trainers.checkpoints.checkpoints import Checkpoints, compare, named
from fgc_runtime.trainers.checkpoints.fingerprint import Fingerprint, depends_on_length, fingerprint
from fgc_runtime.trainers.checkpoints.hyperparameters import effect
from fgc_runtime.trainers.checkpoints.weight_average import WeightAverage
from fgc_runtime.trainers.deferred import construct
from fgc_runtime.trainers.loop.control import Control, Interrupts, TrainingInterrupted
from fgc_runtime.trainers.loop.evaluation import Evaluations, evaluate, require_metric
from fgc_runtime.trainers.loop.feed import (
    ExampleDataset,
    checked_dataset,
    goes_on_from_state,
    rows_of,
    train_share,
    train_windows,
)
from fgc_runtime.trainers.loop.log import Log, Meter
from fgc_runtime.trainers.loop.loop import Loop
from fgc_runtime.trainers.loop.metrics import ComputeMetrics, Predictions, Preprocess, require_logits
from fgc_runtime.trainers.loop.nonfinite import NonFiniteLoss, write_dump
from fgc_runtime.trainers.loop.saving import Saves
from fgc_runtime.trainers.loop.session import Session
from fgc_runtime.trainers.loop.stepper import Stepper
from fgc_runtime.trainers.losses.probes import keeps_documents_apart, require_known_terms, require_plain_head
from fgc_runtime.trainers.losses.training_loss import NextTokenLoss, TrainingLoss, require_batches
from fgc_runtime.trainers.setup.cautions import cautions, length_caution
from fgc_runtime.trainers.setup.factories import LRSchedulerFactory, OptimizerFactory, make_lr_scheduler, make_optimizer
from fgc_runtime.trainers.setup.host_memory import keep_freed_memory
from fgc_runtime.trainers.setup.ranks import common_facts, require_equal
from fgc_runtime.trainers.setup.run_folder import common_folder
from fgc_runtime.trainers.strategies import DDP, Strategy


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
        whole = _made(model, tell=self._say if self._fills_parts else None)
        if isinstance(self.loss, NextTokenLoss):
            require_known_terms(whole)
            if args.fused_loss != "no":
                require_plain_head(whole, f"fused_loss ({args.fused_loss!r})")
        if has_adapter(whole) and not self.strategy.holds_whole_model:
            raise ValueError(
                f"strategy ({type(self.strategy).__name__}) must be one that holds the whole model on each process: it "
                "keeps no adapters. Take trainers/ddp.yaml, or train all weights (method full)"
            )
        takes_packed = keeps_documents_apart(whole)
        self.strategy.prepare(whole, self.loss, args, self.world)
        self.model = self.strategy.model
        self.train_dataset: Any = checked_dataset("train_dataset", train_dataset)
        self.eval_dataset: Any = checked_dataset("eval_dataset", eval_dataset)
        for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
            if self.world.is_main and (caution := length_caution(name, dataset)):
                self._say(f"warning: {caution}", is_warning=True)
        if args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(f"eval_strategy ({args.eval_strategy!r}) must be 'no' where there is no eval_dataset")
        if compute_metrics is not None:
            require_logits(self.strategy, args)
        require_metric(args, tuple(self.loss.weights), has_own_metrics=compute_metrics is not None, unit=self.loss.unit)
        self._predictions = Predictions(compute_metrics, preprocess_logits_for_metrics) if compute_metrics else None
        self.data_collator = data_collator or DataCollatorForCausalLM(processing_class)
        require_batches(self.loss, self.data_collator)
        config = self.model.config
        num_positions = getattr(config, "max_position_embeddings", None)
        self._collate = CheckedCollator(
            self.data_collator,
            int(config.vocab_size),
            num_positions,
            takes_packed=takes_packed,
            moves_labels=self.loss.moves_labels,
        )
        self.processing_class = processing_class
        self.optimizer_factory = optimizer_factory
        self.lr_scheduler_factory = lr_scheduler_factory
        self.output_dir = Path(args.output_dir)
        self.logging_dir = Path(args.logging_dir or args.output_dir)  # the run's own folder once a training has begun
        self.state = TrainerState(seed=args.seed, num_train_examples=length_of(train_dataset))
        self.log_history: list[dict[str, float]] = []
        self._model_step: int | None = None
        self._has_trained = False
        self.fingerprint: Fingerprint = {}  # what the numbers of the training depend on, once it has begun
        self.resumed_from: Path | None = None
        self.why_ended: str | None = None  # of a run that was told to end before its last step
        self._checkpoints = Checkpoints(args, self.strategy, processing_class)

    @property
    def _fills_parts(self) -> bool:
        """Returns True if no process needs the contents of the whole model; other losses copy or read weights."""
        return self.strategy.fills_parts and self.world.size > 1 and type(self.loss) is NextTokenLoss

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

    @property
    def model_step(self) -> int:
        """Returns the step whose weights the model has: the last, or the best after `load_best_model_at_end`."""
        return self.state.global_step if self._model_step is None else self._model_step

    def train(self, *, resume_from_checkpoint: bool | str | Path | None = None) -> dict[str, float]:
        """Run all steps that are left; returns the totals, which are also logged.

        A second call trains the model once more from the first step on, unless it resumes.
        `resume_from_checkpoint` takes the place of the argument of the same name unless it is None.
        On Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP, or when a callback asks for a pause or an abort, raises
        TrainingInterrupted after the current step and, but for an abort, a checkpoint. Raises FloatingPointError,
        naming step and batch, if loss, gradient norm or, before a save, weights are not finite.
        """
        if self.train_dataset is None:
            raise ValueError("train_dataset (None) must be given to train")
        wanted = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        if self._has_trained:
            self._forget()
        self._has_trained = True
        session = self._begin(wanted)
        interrupts = Interrupts(is_announced=self.world.is_main)
        loop = self._loop(session, interrupts)
        checkpoint.code_of(self.model)  # reads it, before anybody edits it
        try:
            with loop.log.meter.paused():
                session.tell(lambda callback: callback.on_train_begin(session.run))
            with interrupts:
                loop.run()
                return loop.end()
        except (Exception, TrainingInterrupted) as error:
            if isinstance(error, NonFiniteLoss):
                error.add_note(self._dump(error, session.stepper))
            self._checkpoints.let_go()
            raise
        finally:
            self.args, self.why_ended, self._model_step = session.args, session.why_ended, session.model_step
            session.tell(lambda callback: callback.on_train_end(session.run))
            self.strategy.end()

    def _forget(self) -> None:
        """Begins to count anew, for another training of the model as it is now, in a run of its own."""
        self.state = TrainerState(seed=self.args.seed, num_train_examples=self.state.num_train_examples)
        self.log_history, self.resumed_from = [], None
        self._checkpoints = Checkpoints(self.args, self.strategy, self.processing_class)

    def _loop(self, session: Session, interrupts: Interrupts) -> Loop:
        """Puts the loop together with the objects beside it."""
        log = Log(session, Meter(self.world, self.state, tuple(self.loss.weights)))
        saves = Saves(session, self._checkpoints, log)
        control = Control(session, interrupts, log, saves)
        has_data = self.eval_dataset is not None
        evaluations = Evaluations(session, self._checkpoints, log, control, self._evaluate, has_data=has_data)
        windows = train_windows(self.train_dataset, self._collate, self.args, self.strategy, self.state)
        return Loop(session, windows, log, saves, control, evaluations, self._checkpoints.average)

    def _dump(self, error: NonFiniteLoss, stepper: Stepper) -> str:
        """Writes what there is to find the reason by, beside the logs; returns where it is, or why it is not there."""
        folder = self.logging_dir / f"not_finite_step_{error.origin.step}"
        numbers = {"learning_rate": stepper.learning_rate, "grad_norm": stepper.grad_norm}
        rows = rows_of(self.train_dataset, self.args, error.origin)
        try:
            write_dump(error, folder, model=self.model, world=self.world, rows=rows, **numbers)
        except OSError as problem:  # of less weight than the loss
            return f"its batch and a report could not be written: {file_error(problem)}"
        return f"its batch and a report are in {folder}"

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
                data,
                self._collate,
                args,
                strategy,
                should_leave,
                term_names=names,
                predictions=self._predictions,
                unit=self.loss.unit,
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
        parts = self.strategy.weight_parts()
        if parts is not None and not self.world.is_main:
            parts.give(self.strategy.architecture)
        full = self.strategy.full_model() if parts is None else None
        weights = parts if full is None else full.state_dict
        if weights is not None and self.world.is_main:
            model = self.strategy.architecture
            with runs.turn_of(target, str(self.logging_dir)):
                names = checkpoint.publish_model(model, self.processing_class, target, state_dict=weights)
                runs.note_model(target, self.logging_dir, self.model_step)
                if is_final and self.logging_dir != target and not self._checkpoints.has_own:
                    checkpoint.keep_model(target, names, self.logging_dir / "model")  # until the next run's come

    def _begin(self, resume: bool | str | Path) -> Session:
        """Makes the optimizer, goes on from a checkpoint if there is one to go on from, and makes the run's folder."""
        self.model.train()
        if self.world.device.type == "cpu":
            keep_freed_memory()
        stepper = self._stepper()
        self.fingerprint = self._fingerprint(stepper)
        self._compare_ranks()
        if self.args.ema_decay is not None:
            self._checkpoints.average = WeightAverage(self.model, self.args.ema_decay)
        metrics = self._resume(resume, stepper)
        self.logging_dir = common_folder(self.args, self.world)
        self._checkpoints.begin(self.args, self.logging_dir)
        return Session(
            args=self.args,
            run=self._as_callbacks_see_it(),
            strategy=self.strategy,
            stepper=stepper,
            callbacks=self.callbacks,
            fingerprint=self.fingerprint,
            metrics=metrics,
            log_history=self.log_history,
        )

    def _stepper(self) -> Stepper:
        args, max_steps = self.args, self.max_steps
        optimizer = make_optimizer(self.model, self.optimizer_factory, args)
        scheduler = make_lr_scheduler(optimizer, self.lr_scheduler_factory, args, num_training_steps=max_steps)
        for caution in cautions(optimizer, scheduler, max_steps=max_steps):
            self._say(f"warning: {caution}", is_warning=True)
        seed_everything(args.seed + self.strategy.dropout_stream)  # dropout differs between processes
        return Stepper(self.strategy, optimizer, scheduler, args)

    def _fingerprint(self, stepper: Stepper) -> Fingerprint:
        has_length = depends_on_length(self.lr_scheduler_factory, self.args)
        return fingerprint(
            self.args,
            self.strategy.architecture,
            stepper.optimizer,
            self.train_dataset,
            loss=self.loss,
            examples_per_step=train_share(self.args, self.strategy).window_size,
            schedule=self.lr_scheduler_factory or self.args.lr_scheduler_type,
            schedule_steps=self.max_steps if has_length else None,
        )

    def _compare_ranks(self) -> None:
        """Raises RanksDiffer unless all processes have the same data and settings; stages may differ in optimizers."""
        is_whole = self.strategy.holds_whole_model
        shared = {name: value for name, value in self.fingerprint.items() if is_whole or "optimizer" not in name}
        require_equal(self.world, {**shared, "number of steps": self.max_steps})

    def _resume(self, wanted: bool | str | Path, stepper: Stepper) -> dict[str, float]:
        """Goes on from the checkpoint that is wanted, if there is one; returns the metrics of its evaluation."""
        folder = self._checkpoints.chosen(wanted)
        if folder is None:
            return {}
        changes = compare(folder, self.fingerprint, is_told=self.args.resume_anyway)
        saved = self._checkpoints.restore(folder, stepper, changes)
        state = TrainerState.from_record(dict(saved.counters))
        for change in changes:
            self._say(
                f"Changed since the checkpoint: {change.sentence}; {effect(change, next_step=state.global_step + 1)}"
            )
        self.state = replace(state, seed=self.state.seed, num_train_examples=self.state.num_train_examples)
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
        is_counted = is_stream(self.train_dataset) and not goes_on_from_state(self.train_dataset, state)
        if is_counted and state.examples_in_epoch:
            self._say(
                f"The data is read again up to where the run stands, {state.examples_in_epoch} examples into its "
                "epoch: a stream without a state of its own, or with a shuffle buffer, begins nowhere else"
            )
        self.resumed_from = folder
        self._say(f"Resuming at step {self.state.global_step} from {folder}")
        return checkpoint.metrics_of(folder)

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

    def _say(self, text: str, *, is_warning: bool = False) -> None:
        if self.world.is_main:
            say(text, is_warning=is_warning)


def _made(model: object, *, tell: Callable[[str], None] | None) -> PreTrainedModel:
    """The model, which a function may make: one without contents where there is somebody to `tell` if it cannot be.

    Raises ValueError for what is no model of transformers.
    """
    made: Any = model
    if callable(model) and not isinstance(model, nn.Module):
        made = model() if tell is None else construct(model, tell=tell)
    if isinstance(made, PreTrainedModel):
        return made
    is_adapted = type(made).__module__.partition(".")[0] == "peft"
    reason = "; fgc_runtime.finetune:fine_tuned gives a model an adapter" if is_adapted else ""
    raise ValueError(f"model ({type(made).__name__}) must be a PreTrainedModel, or a function that makes one{reason}")
