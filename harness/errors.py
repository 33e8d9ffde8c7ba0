"""What can go wrong, as one tree.

Every message is one sentence or a few lines that say what is wrong, where, and what to do; the command line prints
it as it is, without a traceback, and exits with `exit_code`.
"""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PREREQUISITE = 10
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
EXIT_UNREAD = 141  # 128 + SIGPIPE, the same


class HarnessError(Exception):
    """The root of everything the harness raises on purpose."""

    exit_code = EXIT_FAILED


class CommandError(HarnessError):
    """A command could not be run, ran out of time, or failed where it had to succeed."""


class WaitTimeoutError(HarnessError):
    """A state was not reached within its budget; the message says what was last seen."""


class PrerequisiteError(HarnessError):
    """Something that a run needs is missing; nothing was started."""

    exit_code = EXIT_PREREQUISITE

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class EngineUnavailableError(PrerequisiteError):
    """No Docker engine answers."""


class HeldError(PrerequisiteError):
    """Another run, or a deployment kept on purpose, holds the address plan."""


class NotPutInError(HarnessError):
    """A fault that a whole session was to be run with could not be put in, so the session would tell nothing of it."""


class ConfigurationError(HarnessError):
    """The configuration cannot work; found before anything was started."""


class UsageError(ConfigurationError):
    """A word of the command line, or a file that it names, is none that can be meant."""

    exit_code = EXIT_USAGE


class ImageError(HarnessError):
    """An image could be neither found, pulled nor built."""


class BringUpError(HarnessError):
    """The deployment did not become healthy; the message names the container that failed first."""


class DeploymentError(HarnessError):
    """A running deployment is not as it has to be."""


class ParseError(HarnessError):
    """The output of a tool is not in the form that its documentation states."""


class KeyFileError(HarnessError):
    """Key files are missing, would be overwritten, or cannot be read or written."""
