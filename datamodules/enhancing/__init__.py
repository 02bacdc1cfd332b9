"""Enhancements of images by name: what ``data.enhance`` does to an image before any model sees it."""
