"""What can be wrong with a data set, measured: shortcuts, duplicates, masks beside their marks, hidden sequences."""
