"""What a test measures, from batches to figures: pixels, objects, examples, baselines, time."""
