"""Requests on the topic `commands`, and where a stack stands."""
