"""The model and its training: features, encoder, objectives, calibration and the model file; needs torch."""
