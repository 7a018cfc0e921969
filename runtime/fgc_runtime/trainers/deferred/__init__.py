"""Constructs a model without its large weights, and fills them in later, bit for bit as the constructor would have.

A model of 100 GB should not be made whole on each of 8 processes that keep an eighth. The constructor is any Python
code, so it cannot be told what to make. Instead, its operations on large tensors are recorded while it runs, and
replayed later for the parts that a process keeps.

    class Model(nn.Module):                          what happens in `construct`         the history of the storage
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(1000, 1000)           a tensor on the device `meta`       [uniform_(-k, k), state s0]
            self.a.weight.data.normal_(0, 0.02)      drawn into scratch memory           [normal_(0, 0.02), state s1]
            self.a.weight.data[0] = 0                nothing is computed                 [normal_, fill_ of row 0]
            self.size = float(self.a.weight.norm())  replayed: a number is needed        (unchanged)

- A large tensor has no memory (`torch.device("meta")`). For its storage there is a `History`: a list of `Step`s, each
  an in-place operation on a part of the storage, with its arguments and the state of the random generator before it.
- A step that overwrites the whole storage erases the steps before it: `normal_` above replaces `uniform_`.
- Random numbers are drawn at once all the same, into scratch memory, so that the generator is in the right state for
  the next operation, which may belong to a small tensor that is really made.
- An operation that reads contents (`norm`) gets them: the steps are replayed into memory that is kept until another
  storage needs it.
- `fill(model, part)` replays the histories of a part's weights, and the tensors stay the same Python objects.

Modules: `storages` describes which part of a storage a tensor is. `history` has the steps and replays them.
`recording` intercepts the operations of torch. `standing_in` gives a model without weights small random ones while it
is called, to learn shapes. `models` has the functions that trainers and strategies call.

Invariant: only operations of a short list are recorded. Any other one that would change a tensor without contents,
or give away its memory (`data_ptr`, pickling), is refused: the generator is reset and the constructor runs once more,
without recording. So the worst case is a model that is made whole, never a wrong one.
"""

from fgc_runtime.trainers.deferred.models import answering, construct, device_of, fill, is_deferred

__all__ = ["answering", "construct", "device_of", "fill", "is_deferred"]
