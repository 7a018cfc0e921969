"""Builds on disk: their manifests, how they are written, and whether they are fresh.

Loads no stage of the compiler: asking whether a build is fresh must not cost a compilation.
"""
