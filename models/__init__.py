"""From batches to raw scores, maps and instances: one file per method."""
