"""The errors that a user can act on; everything else is a defect of ours."""


class UserError(ValueError):
    """A wrong option, path or file: what was expected, what came, what to do."""


class ShortageError(ValueError):
    """The set that was asked for cannot be made from what was read."""


class RunnerError(RuntimeError):
    """A runner or its machines failed; the same command goes on with the work."""


# The exit code of a command that did its work and found that a check failed.
CHECK_FAILED = 4


def exit_code(error: Exception) -> int:
    """Returns with what a command ends that such an error stops."""
    if isinstance(error, ShortageError):
        return 3
    return 1 if isinstance(error, RunnerError) else 2
