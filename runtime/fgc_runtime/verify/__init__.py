"""Tries whether a program that is killed and resumed computes the numbers of one that never stopped."""
