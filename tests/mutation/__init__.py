"""Mutants of data, evaluation and pipelines: how many of them the fast tests notice."""
