"""State that a run keeps to go on from, and what of it holds then. Files are `fgc_runtime.checkpoint`'s."""
