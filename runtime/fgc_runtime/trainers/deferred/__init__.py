"""A constructor to a model whose weights are made when they are asked for, bit for bit as the constructor would have.

While `construct` calls a constructor, large tensors have no contents (`torch.device("meta")`). What creates and changes
them is written down, with the state of the random generator. Random numbers are drawn all the same, into memory of one
tensor at a time, so that the generator stands where it would have stood. Later `fill` does again what was written
down, for the parts of a model that a process keeps.

`storages`: the part of a storage that a tensor is. `history`: what was done to one storage, done again. `recording`:
what happens while a constructor runs. `standing_in`: a model that is called before it is filled. `models`: the four
functions that trainers and strategies call.

Invariant: only operations of a short list are written down. Any other that would change a tensor without contents, and
whatever would give away its memory, is refused, and the constructor is called again without all this.
"""

from fgc_runtime.trainers.deferred.models import answering, construct, device_of, fill, is_deferred

__all__ = ["answering", "construct", "device_of", "fill", "is_deferred"]
