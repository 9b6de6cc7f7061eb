"""The few error classes. Exit status: 2 for `TondoError` (the user's), 1 for the rest (ours)."""


class TondoError(Exception):
    """Something the user gave or asked for cannot work.

    The message says which input, what was expected, what came, and what to do, in one or two
    sentences. The command line prints it alone (no traceback) and exits with status 2.
    """


class InputError(TondoError):
    """A file or folder from outside is missing, damaged, hostile or of the wrong kind."""


class OptionError(TondoError):
    """An option or argument has a value that cannot be used."""


class OutputError(TondoError):
    """The place for the results cannot be written, is full, or holds something already."""


class MissingPartError(TondoError):
    """An optional part is not installed. The message names the command that installs it."""
