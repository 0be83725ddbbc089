"""The schema: its language, its files, and the validation of values, records and frames."""
