"""Features, encoder, objectives, training, calibration and the model file, all of them with torch."""
