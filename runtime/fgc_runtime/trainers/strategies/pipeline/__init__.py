"""Pipeline parallelism: each process keeps some layers of the model, and micro-batches travel through the processes.

A model of 4 layers on 2 processes, `schedule="1F1B"`, `n_microbatches=4` (F forward, B backward of a micro-batch):

    process 0   stage 0: embedding, layers 0-1         F0 F1 .. B0 F2 B1 F3 B2 .. B3
    process 1   stage 1: layers 2-3, norm, head, loss  .. F0 B0 F1 B1 F2 B2 F3 B3 ..
                                                       (.. is the bubble, in which a process waits)

- `stages`: the model to stages. A stage is a shallow copy of the base model in which the layers of other stages are
  replaced by modules that return their input (`Elsewhere`). So the model's own code computes masks, positions and
  layer numbers, and parameters keep their names. All stages in a row are checked once against the whole model.
- `layout`: which process has which stage. With several stages per process, in loops (0 1 0 1), or in a V (0 1 1 0),
  where the process of the first stage also has the last.
- `strategy`: the strategy. A schedule of torch.distributed.pipelining moves hidden states and gradients. Every process
  of a pipeline reads the whole batch, so only hidden states travel. With more processes than one pipeline needs,
  several pipelines train side by side and their gradients are added.
- `wavefront`: evaluation, which has no backward pass, for every layout of stages.

Order of `Pipeline.prepare`: make all stages of the (still empty, see `trainers.deferred`) model, keep this process's
stages, replace all other modules by `Elsewhere`, and only then fill and move the weights that are left.
"""

from fgc_runtime.trainers.strategies.pipeline.strategy import Pipeline

__all__ = ["Pipeline"]
