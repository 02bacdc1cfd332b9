"""Work that the trials of a sweep share."""
