"""The use cases, as functions over injected services."""
