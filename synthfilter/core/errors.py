"""The two errors that a user can act on; everything else is a defect of ours."""


class UserError(ValueError):
    """A wrong option, path or file: what was expected, what came, what to do."""


class ShortageError(ValueError):
    """The set that was asked for cannot be made from what was read."""


# The exit code of a command that did its work and found that a check failed.
CHECK_FAILED = 4
