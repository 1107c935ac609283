"""What can go wrong in a way that a user can mend.

    CtatlasError                    one line: where, what was found, what was expected, what to do
    ├── ScanError(ValueError)       the scan: unreadable, not a CT, irregular, empty
    ├── ModelError(ValueError)      the model or its words: unknown or broken model, card, structure, label set
    ├── AtlasError(ValueError)      the atlas folder
    ├── TableError(ValueError)      a table of numbers or facts that others made: results, metadata
    ├── InstallError(RuntimeError)  the installation: a package, an extra or a setting is missing or wrong
    └── OutputError(OSError)        the place to write to: no permission, disk full, something stands there already

Every other exception that leaves the package is a bug.
"""

AT_MOST_LETTERS = 4000  # twice the names of the largest label set


class CtatlasError(Exception):
    """Say in one line what a user can mend; the command line prints it and exits with `exit_code`."""

    exit_code = 2

    def __str__(self) -> str:
        """Keep it one line: names and header values come from strangers and may hold line breaks or terminal codes.

        They may be very long, too: of more than `AT_MOST_LETTERS` both ends are kept.
        """
        text = super().__str__()
        if len(text) > AT_MOST_LETTERS:
            text = f"{text[: AT_MOST_LETTERS // 2]} … {text[-AT_MOST_LETTERS // 2 :]}"
        return "".join(letter if letter.isprintable() else " " for letter in text)


class ScanError(CtatlasError, ValueError):
    """Refuse a scan."""


class ModelError(CtatlasError, ValueError):
    """Refuse a model, a card, or the name of a structure or label set."""


class AtlasError(CtatlasError, ValueError):
    """Refuse an atlas folder."""


class TableError(CtatlasError, ValueError):
    """Refuse a table of numbers or facts: results of models, metadata of cases."""


class InstallError(CtatlasError, RuntimeError):
    """Name the package or setting that the installation lacks, and how to get it."""


class OutputError(CtatlasError, OSError):
    """Refuse to write, or report that writing failed and nothing half-written was left."""
