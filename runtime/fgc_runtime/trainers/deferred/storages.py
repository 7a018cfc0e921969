"""A tensor to the part of its storage that it is, and that part of any other storage to a tensor."""

import mmap
from typing import NamedTuple

import torch
from torch import Tensor


class StoragePart(NamedTuple):
    """The part of its storage that a tensor is; knows nothing of the storage itself."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int  # in elements
    dtype: torch.dtype
    is_dense: bool  # each element is another one, with no gaps between them

    @classmethod
    def of(cls, tensor: Tensor) -> "StoragePart":
        """The part that `tensor` is, which may be without contents."""
        is_dense = torch.ops.aten.is_non_overlapping_and_dense(tensor)
        return cls(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype, is_dense)

    @property
    def span(self) -> range:
        """The bytes of the storage from the first to the last element."""
        if 0 in self.size:
            return range(0)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        return range(self.offset * self.dtype.itemsize, (last + 1) * self.dtype.itemsize)

    @property
    def may_overlap(self) -> bool:
        """Returns True if two of its indices may be one element, as in an expanded tensor."""
        reached = 1
        for stride, size in sorted(zip(self.stride, self.size, strict=True)):
            if size > 1 and stride < reached:
                return True
            reached += stride * (size - 1)
        return False

    def of_storage(self, storage: torch.UntypedStorage) -> Tensor:
        """The tensor that is this part of another storage."""
        return torch.empty(0, dtype=self.dtype).set_(storage, self.offset, self.size, self.stride)


def zeros(num_bytes: int) -> torch.UntypedStorage:
    """Zeros in pages of their own: those that nobody writes to cost nothing, and the kernel gets all of them back.

    The heap would keep pages between others that are still in use.
    """
    return torch.frombuffer(mmap.mmap(-1, max(1, num_bytes)), dtype=torch.uint8).untyped_storage()
