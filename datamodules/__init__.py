"""From files on disk to batches: one file per domain, over one shared base."""
