"""Datasets of canonical rows: duplicates, splits, and the training store."""
