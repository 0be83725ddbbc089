"""The schema: its language, and values, frames and records that are validated by it."""
