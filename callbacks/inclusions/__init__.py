"""How anomalous inclusions are: in space, in shape, both together, and in areas of many. Pure functions over tables."""
