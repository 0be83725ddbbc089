"""A schema for a file that has none, with findings that say why."""
