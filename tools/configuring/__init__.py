"""From words on the command line to a config, and from a config to objects that may be built."""
