"""Canonical rows kept and divided: duplicates, splits, the training store."""
