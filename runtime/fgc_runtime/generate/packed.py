"""Keys and values of many sequences in one tensor, which rows join and leave between steps.

All rows end at the same column, so a step writes one column for all of them. Columns 0 to 9, `start=3`, `end=8`:

    column    0  1  2  3  4  5  6  7  8  9
    row 0     _  _  _  a  b  c  d  e  _  _      lengths[0] = 5
    row 1     _  _  _  0  0  0  x  y  _  _      lengths[1] = 2, zeros are padding
                                      ^ the next token of each row

The width is `end - start`, the length of the longest row. A longer row joins by moving `start` to the left; if there
are too few columns on either side, all rows move to larger buffers. Padding is on the left, so the distance between
two columns is the distance between positions, and sliding windows and relative biases work unchanged.

Letters: B rows, H heads, T time, D channels per head, K columns.
"""

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer

_GRAIN = 64  # columns are allocated in multiples, because growing by one would copy the whole cache each step


class PackedCache(Cache):
    """A transformers cache in which row r has `lengths[r]` tokens, in the last columns before `end`."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._packed: list[PackedLayer] = []  # the same objects as `layers`, typed
        self.lengths: list[int] = []
        self.start = 0
        self.end = 0

    @property
    def width(self) -> int:
        return self.end - self.start

    @property
    def is_padded(self) -> bool:
        return any(length != self.width for length in self.lengths)

    def join(self, prefix: Cache, length: int) -> None:
        """Adds a row with the `length` tokens of `prefix`, a cache of batch size one."""
        sources = [layer for layer in prefix.layers if isinstance(layer, DynamicLayer)]
        if not self._packed:
            self._packed = [PackedLayer(self, *_key_values(source)) for source in sources]
            self.layers = list(self._packed)
        row = len(self.lengths)
        if row == 0:
            self.start = self.end = min(length, self._packed[0].num_columns)
        self._make_room(num_rows=row + 1, left=length, right=0)
        start = min(self.start, self.end - length)
        for layer, source in zip(self._packed, sources, strict=True):
            layer.write_row(row, *_key_values(source), first=start, old_first=self.start)
        self.start = start
        self.lengths.append(length)

    def prefix(self, row: int) -> DynamicCache:
        """Returns a copy of a row as a cache of batch size one."""
        cache = DynamicCache()
        for index, layer in enumerate(self._packed):
            cache.update(*layer.row(row, self.lengths[row]), index)
        return cache

    def leave(self, row: int) -> None:
        """Drops a row; the last row takes its place."""
        last = len(self.lengths) - 1
        if row != last:
            for layer in self._packed:
                layer.move_row(last, row)
        self.lengths[row] = self.lengths[last]
        self.lengths.pop()
        self.start = self.end - max(self.lengths, default=0)

    def open_column(self) -> None:
        """Makes room for one more token in each row."""
        self._make_room(num_rows=len(self.lengths), left=self.width, right=1)

    def close_column(self) -> None:
        """Counts the token that each row has just taken."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def _make_room(self, *, num_rows: int, left: int, right: int) -> None:
        layer = self._packed[0]
        if layer.fits(num_rows, self.end + right) and left <= self.end:
            return
        end = max(left, self.width)
        num_columns = -(-(end + right + max(_GRAIN, end // 2)) // _GRAIN) * _GRAIN
        num_rows = max(num_rows, layer.num_rows if num_rows <= layer.num_rows else 2 * layer.num_rows)
        buffers = [each.buffers(num_rows, num_columns) for each in self._packed]  # first: may run out of memory
        for each, (keys, values) in zip(self._packed, buffers, strict=True):
            each.move_to(keys, values, end)
        self.start, self.end = end - self.width, end


class PackedLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # its __init_subclass__ has no annotations
    """One layer of a `PackedCache`, with buffers that are larger than the part in use."""

    is_sliding = False

    def __init__(self, cache: PackedCache, k_1HTD: Tensor, v_1HTD: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._cache = cache
        self.keys: Tensor = _empty_like(k_1HTD, 0, 0)
        self.values: Tensor = _empty_like(v_1HTD, 0, 0)
        self.is_initialized = True

    @property
    def num_rows(self) -> int:
        return self.keys.shape[0]

    @property
    def num_columns(self) -> int:
        return self.keys.shape[2]

    def fits(self, num_rows: int, num_columns: int) -> bool:
        return num_rows <= self.num_rows and num_columns <= self.num_columns

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Writes one token per row, shape (B, H, 1, D), into the open column. Returns views that include it."""
        assert key_states.shape[2] == 1, "a packed cache takes one token per row and step"
        num_rows, start, end = key_states.shape[0], self._cache.start, self._cache.end
        self.keys[:num_rows, :, end : end + 1] = key_states
        self.values[:num_rows, :, end : end + 1] = value_states
        return self.keys[:num_rows, :, start : end + 1], self.values[:num_rows, :, start : end + 1]

    def write_row(self, row: int, k_1HTD: Tensor, v_1HTD: Tensor, *, first: int, old_first: int) -> None:
        """Copies a prefix into `row`, ending at `end`, and zeroes the columns that become padding.

        Padding is masked, but a masked NaN would still spread, because 0 * nan is nan.
        """
        end, length = self._cache.end, k_1HTD.shape[2]
        for buffer, x_1HTD in ((self.keys, k_1HTD), (self.values, v_1HTD)):
            buffer[:row, :, first:old_first] = 0
            buffer[row, :, first : end - length] = 0
            buffer[row, :, end - length : end] = x_1HTD[0]

    def move_row(self, source: int, target: int) -> None:
        columns = slice(self._cache.start, self._cache.end)
        for buffer in (self.keys, self.values):
            buffer[target, :, columns] = buffer[source, :, columns]

    def buffers(self, num_rows: int, num_columns: int) -> tuple[Tensor, Tensor]:
        """Returns new, empty buffers for keys and values."""
        return _empty_like(self.keys, num_rows, num_columns), _empty_like(self.values, num_rows, num_columns)

    def move_to(self, keys: Tensor, values: Tensor, end: int) -> None:
        """Moves the part in use to new buffers, so that it ends at column `end`."""
        used, num_rows = slice(self._cache.start, self._cache.end), self.keys.shape[0]
        for new_BHKD, old_BHKD in ((keys, self.keys), (values, self.values)):
            new_BHKD[:num_rows, :, end - self._cache.width : end] = old_BHKD[:, :, used]
        self.keys, self.values = keys, values

    def row(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        """Returns a view of a row's last `length` keys and values."""
        columns = slice(self._cache.end - length, self._cache.end)
        return self.keys[row : row + 1, :, columns], self.values[row : row + 1, :, columns]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Does nothing: the first prefix has set shapes, dtype and device."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.width + query_length, 0

    def get_seq_length(self) -> int:
        return self._cache.width

    def get_max_length(self) -> int:
        return -1


def _key_values(layer: DynamicLayer) -> tuple[Tensor, Tensor]:
    assert layer.keys is not None and layer.values is not None, "a prompt that is read has keys and values"
    return layer.keys, layer.values


def _empty_like(x_BHTD: Tensor, num_rows: int, num_columns: int) -> Tensor:
    return x_BHTD.new_zeros((num_rows, x_BHTD.shape[1], num_columns, x_BHTD.shape[3]))
