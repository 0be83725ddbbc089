"""Schema, sources, validation, cleaning, splits and the generator: rows in, trusted rows out."""
