"""What ``loupe prepare`` writes: tiles and labels from large images, once, before anyone trains."""
