"""The only feature code, for training and serving alike."""
