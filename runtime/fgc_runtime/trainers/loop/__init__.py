"""The training loop. Begin with `loop.py`: `Loop.run`, then `Loop.step`; each object that it calls is a file here.

    feed        data set -> windows: the micro-batches of one optimizer step, epoch after epoch
    stepper     window -> gradients, clipped -> a step of optimizer and schedule
    log         the sums of losses -> means, times, records
    evaluation  evaluation data -> its mean loss, and whether that is the best so far
    metrics     predictions of all processes -> metrics of the user's own
    saving      a moment of the run -> a checkpoint, written beside the training
    control     signals, callbacks, other terminals -> requests that all processes answer before the same step
    nonfinite   losses, gradients and weights that are not finite -> an error that names the step and its data
    session     what one call of `train` works with; all of these share it

How processes share a model is the strategy's (`trainers/strategies`), what is minimised the loss's (`trainers/losses`),
checkpoints are in `trainers/checkpoints`, and `trainers/setup` makes and compares things before the first step.
"""
