"""Sources of rows: files, folders, feeds of events, and the generator."""
