"""Where rows come from: files, folders, feeds of events, the generator."""
