"""Scores that are asked for: one scorer behind HTTP, the stream and files, and every prediction kept."""
