"""Examples made once and kept: a data set to Arrow files with a manifest, and these to a data set."""

from fgc_runtime.data.prepared.reading import PreparedDataset

__all__ = ["PreparedDataset"]
