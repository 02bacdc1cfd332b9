"""Parts that methods share: heads, maps, banks' selection, tiles, instances."""
