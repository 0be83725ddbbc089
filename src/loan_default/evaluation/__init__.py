"""Figures about predictions: arrays in, results out."""
