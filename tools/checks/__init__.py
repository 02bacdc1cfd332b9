"""What ``loupe doctor`` does; the door imports it late."""
