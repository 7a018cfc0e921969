"""Saves and restores the state of a run, and checks that a resumed run matches it. Files: `fgc_runtime.checkpoint`."""
