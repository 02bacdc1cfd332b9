"""The layouts in which outlined images lie on disk: which files there are, and which labels belong to which image."""
