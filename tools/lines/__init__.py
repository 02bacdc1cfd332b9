"""Lines: procedures that judge images of one domain without a trained run, each one config of the group ``line``."""
