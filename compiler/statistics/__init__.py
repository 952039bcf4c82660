"""What calibration text tells of a model: second moments, Fisher information, divergence from the float model."""
