"""What can be wrong with a command, said so that it can be mended."""


class ConfigError(ValueError):
    """A key, a choice or a value of the command is wrong. Nothing has been read or written yet."""


class UnknownKeyError(ConfigError):
    """A config has a key that what it describes does not take."""


class FailedTrialsError(Exception):
    """A sweep went through, and some of its trials failed. What was found stands; the message says how to go on."""
