"""What ``loupe prepare`` writes: tiles and labels from large pictures, once, before anyone trains."""
