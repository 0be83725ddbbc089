"""Scores over HTTP: the application, its limits, its errors and the page for people."""
