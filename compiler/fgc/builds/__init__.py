"""Builds on disk: what their manifest says, how they are written, and whether they still hold.

Loads no stage of the compiler: asking whether a build is fresh must not cost a compilation.
"""
