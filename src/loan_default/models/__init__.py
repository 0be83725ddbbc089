"""Features, encoder, objectives, training and the .pth artefact. torch is at home here."""
