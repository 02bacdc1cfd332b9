"""From a sample table to batches: splits, the survey, reading, augmentation, loading."""
