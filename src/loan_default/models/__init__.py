"""Features, encoder, objectives, training and the .pth artefact. The only part that imports torch."""
