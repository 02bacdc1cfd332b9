"""What the untrained detectors of fiber end faces compute; without torch, so that a line starts fast."""
