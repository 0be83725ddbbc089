"""Inference of a schema for a file that has none, with findings that give the reasons."""
