"""Numbers from scores and masks, and how far they can be trusted: pure functions that read and write nothing."""
