"""The errors that a user can act on; everything else is a defect of ours."""


class UserError(ValueError):
    """A wrong option, path or file: what was expected, what came, what to do."""


class ShortageError(ValueError):
    """The set that was asked for cannot be made from what was read."""


class StoreError(RuntimeError):
    """An object store refused: what was tried, what came, what to do.

    No ValueError and no OSError: those speak of files that are wrong or broken, which a
    build sets aside and goes on without.
    """


class StoreDownError(StoreError):
    """A store did not answer, also when asked again; the same command goes on."""


class RunnerError(RuntimeError):
    """A runner or its machines failed; the same command goes on with the work."""


# What has a line for the user; whatever else is raised is a defect.
OUR_ERRORS = (UserError, ShortageError, StoreDownError, StoreError, RunnerError)

# The exit code of a command that did its work and found that a check failed.
CHECK_FAILED = 4


def exit_code(error: Exception) -> int:
    """Returns with what a command ends that such an error stops."""
    if isinstance(error, ShortageError):
        return 3
    return 1 if isinstance(error, RunnerError | StoreDownError) else 2
