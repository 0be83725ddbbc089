"""Rows in, validated rows out: the schema, sources of rows, and datasets."""
