"""Every exception of the package.

    DeepcoderError
    ├── ConfigError (ValueError)            a setting is wrong: stops before the first row
    ├── InputError (ValueError)             an input path is missing, empty or not readable: stops
    ├── OutputError (OSError)               the output cannot be written: stops
    ├── TokenizerError (ValueError)         the tokenizer cannot be loaded or used: stops
    ├── TemplateError (ValueError)          a chat template cannot be compiled or costs too much: stops
    ├── SchemaError (ValueError)            a dataset lacks the columns that a stage needs: stops
    ├── RecordError (ValueError)            a record is bad: becomes a counted reject
    │   ├── UnknownFormatError              no reader takes the record
    │   └── TemplateRefused                 the chat template raises on the record
    ├── PublishError (RuntimeError)         a dataset cannot be published, or must not be: nothing was sent
    ├── SpanError (ValueError)              spans do not partition their text
    └── AlignmentError (ValueError)         tokens and spans do not fit each other

Each class can be pickled with its attributes: an exception that cannot makes `Dataset.map(num_proc=2)` wait for ever.
"""

from __future__ import annotations


class DeepcoderError(Exception):
    """Base of every error that the package raises on purpose; the command line prints it as one line."""


class ConfigError(DeepcoderError, ValueError):
    """A setting is unknown or out of range; the message lists every problem with its dotted path."""


class InputError(DeepcoderError, ValueError):
    """An input path does not exist, holds no trajectories, or cannot be read."""


class OutputError(DeepcoderError, OSError):
    """An output exists already, or cannot be written."""


class TokenizerError(DeepcoderError, ValueError):
    """A tokenizer cannot be found, is slow (no offsets), or lacks what a setting needs."""


class TemplateError(DeepcoderError, ValueError):
    """A chat template is not valid, or renders without end: the message says which limit it goes beyond."""


class SchemaError(DeepcoderError, ValueError):
    """A dataset does not have the columns, types or provenance that a stage expects."""


class PublishError(DeepcoderError, RuntimeError):
    """A dataset cannot be published (no right, no network), or must not be (a secret, an unknown licence)."""


class RecordError(DeepcoderError, ValueError):
    """One record cannot be used.

    Args:
        message: What was expected, what came, and what to do.
        reason: The machine-readable reason code of the reject, for example `broken_json`.
    """

    def __init__(self, message: str = "", reason: str = "bad_record") -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


class UnknownFormatError(RecordError):
    """No reader takes the record; the message lists the formats that are known."""

    def __init__(self, message: str = "", reason: str = "unknown_format") -> None:
        super().__init__(message, reason)


class TemplateRefused(RecordError):
    """The chat template raises on the record, as `apply_chat_template` does; the message has the template's words."""

    def __init__(self, message: str = "", reason: str = "template_refused") -> None:
        super().__init__(message, reason)


class SpanError(DeepcoderError, ValueError):
    """Spans overlap, leave a gap, or reach beyond their text."""


class AlignmentError(DeepcoderError, ValueError):
    """Token ranges and character ranges cannot be brought together."""
