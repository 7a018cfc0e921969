"""Describes which part of its storage a tensor is, and makes the same part of another storage a tensor."""

import mmap
from typing import NamedTuple

import torch
from torch import Tensor


class StoragePart(NamedTuple):
    """The shape, strides, offset and dtype of a tensor in a storage, without the storage."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int  # in elements
    dtype: torch.dtype
    is_dense: bool  # no element occurs twice, and there are no gaps

    @classmethod
    def of(cls, tensor: Tensor) -> "StoragePart":
        """Returns the part that `tensor` is; it may have no contents."""
        is_dense = torch.ops.aten.is_non_overlapping_and_dense(tensor)
        return cls(tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype, is_dense)

    @property
    def span(self) -> range:
        """Returns the bytes of the storage from the first to the last element."""
        if 0 in self.size:
            return range(0)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        return range(self.offset * self.dtype.itemsize, (last + 1) * self.dtype.itemsize)

    @property
    def may_overlap(self) -> bool:
        """Returns True if two indices may be the same element, as in an expanded tensor."""
        reached = 1
        for stride, size in sorted(zip(self.stride, self.size, strict=True)):
            if size > 1 and stride < reached:
                return True
            reached += stride * (size - 1)
        return False

    def of_storage(self, storage: torch.UntypedStorage) -> Tensor:
        """Returns this part of another storage as a tensor."""
        return torch.empty(0, dtype=self.dtype).set_(storage, self.offset, self.size, self.stride)


def zeros(num_bytes: int) -> torch.UntypedStorage:
    """Returns a storage of zeros in its own memory mapping.

    Pages that nobody writes to take no memory, and all of them go back to the kernel. The heap would keep pages between
    others that are still in use.
    """
    return torch.frombuffer(mmap.mmap(-1, max(1, num_bytes)), dtype=torch.uint8).untyped_storage()
