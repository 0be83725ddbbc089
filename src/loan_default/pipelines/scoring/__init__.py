"""Scoring: a model turns applications into PDs."""
