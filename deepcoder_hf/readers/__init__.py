"""Readers: a raw record -> Trajectory. One file a format; `TrajectoryParser` picks the reader by content.

Add a format: a module here with `matches(record) -> bool` and `read(record) -> Trajectory`, and its line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError, UnknownFormatError
from deepcoder_hf.readers import (
    adp,
    adp_thoughts,
    agent_steps,
    alpaca,
    anthropic,
    atif,
    claude_code,
    codex,
    completion,
    content,
    fields,
    gemini,
    harmony,
    inspect_log,
    messages,
    mini_swe_agent,
    notebook,
    openai_responses,
    openhands_events,
    openhands_logs,
    otel,
    pi,
    recordings,
    rendered_messages,
    screens,
    session_traces,
    smolagents,
    swe_agent,
    tau_bench,
    text,
)
from deepcoder_hf.readers.claims import Claims, claims_of
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.pairing import paired
from deepcoder_hf.readers.turn_facts import undesired
from deepcoder_hf.trajectory import Trajectory


class Reader(Protocol):
    """What a reader module offers."""

    __doc__: str | None

    def matches(self, record: Record) -> bool:
        """Whether the record looks like this format, by its content."""

    def read(self, record: Record) -> Trajectory | list[Trajectory]:
        """Read a record that matches: one trajectory, or several where it holds a session with side chains.

        Raises RecordError where it cannot be used. A module may have `IGNORED`: path patterns (readers/claims.py) of
        what it leaves out on purpose, with the reason; and `left_out(record)`: objects of the record that it leaves
        out whole, each with the reason; and `unpacked(record)`: the record with what is packed in its strings (JSON
        bodies, harmony text) as objects, which is then read and accounted for in its place.
        """


READERS: dict[str, Reader] = {
    "session_traces": session_traces,
    "claude_code": claude_code,
    "codex": codex,
    "pi": pi,
    "otel": otel,
    "swe_agent": swe_agent,
    "mini_swe_agent": mini_swe_agent,
    "openhands_events": openhands_events,
    "openhands_logs": openhands_logs,
    "tau_bench": tau_bench,
    "smolagents": smolagents,
    "inspect_log": inspect_log,
    "notebook": notebook,
    "atif": atif,
    "adp": adp,
    "adp_thoughts": adp_thoughts,
    "screens": screens,
    "rendered_messages": rendered_messages,
    "recordings": recordings,
    "harmony": harmony,
    "anthropic": anthropic,
    "openai_responses": openai_responses,
    "gemini": gemini,
    "messages": messages,
    "agent_steps": agent_steps,
    "completion": completion,
    "alpaca": alpaca,
    "content": content,
    "text": text,
}
"""Readers by name, in the order in which they are asked."""


class TrajectoryParser:
    """Reads records of any known format.

    Args:
        config: Limits of what is read, and what may stay unread.

    Example:
        >>> TrajectoryParser().parse({"text": "Thought: hm\\nAction: look[x]"}).source_format
        'text'
    """

    def __init__(self, config: ReadersConfig | None = None) -> None:
        self.config = config or ReadersConfig()

    def parse(self, record: Any) -> Trajectory:
        """The first trajectory of a record; see `parse_all`."""
        return self.parse_all(record)[0]

    def parse_all(self, record: Any) -> list[Trajectory]:
        """Read the trajectories of one record with the first reader that takes it.

        Args:
            record: A raw record: an object as JSON gives it.

        Returns:
            At least one trajectory. `metadata["read"]` of the first says how many characters of the record's strings
            were claimed, repeated, ignored and left unread; results stand in the order of their calls.

        Raises:
            UnknownFormatError: No reader takes it.
            RecordError: Its reader cannot use it, or leaves more unread than `readers.max_unread_ratio`.
        """
        if not isinstance(record, Mapping):
            raise RecordError(f"expected an object, got {type(record).__name__}", "not_an_object")
        filled = _filled(record)
        for candidate in (filled, record) if len(filled) < len(record) else (record,):
            if (name := _reader_of(candidate)) is not None:
                return self._read(name, candidate, record)
        keys = ", ".join(repr(key) for key in list(record)[:12]) or "none"
        raise UnknownFormatError(f"no reader takes a record with the keys {keys}; {known_formats()}")

    def format_of(self, record: Record) -> str | None:
        """Name of the format of a record, or None."""
        return _reader_of(_filled(record)) or _reader_of(record)

    def _read(self, name: str, candidate: Record, record: Record) -> list[Trajectory]:
        reader = READERS[name]
        if (unpacked := getattr(reader, "unpacked", None)) is not None:
            candidate = record = unpacked(candidate)
        found = reader.read(candidate)
        trajectories = found if isinstance(found, list) else [found]
        ignored = {**fields.IGNORED, **getattr(reader, "IGNORED", {}), **dict.fromkeys(self.config.ignore, "setting")}
        left_out = getattr(reader, "left_out", None)
        claims = claims_of(record, trajectories, ignored, left_out(candidate) if left_out else ())
        if claims.unread > self.config.max_unread_ratio * claims.total:
            raise _unread(name, claims)
        finished = []
        for number, trajectory in enumerate(trajectories):
            steps, counts = paired(trajectory.steps)
            facts = {**trajectory.metadata, **counts, **({"read": claims.facts()} if number == 0 else {})}
            if (column := undesired(record, len(steps) > 1)) is not None:
                steps, facts["undesired"] = tuple(replace(step, trained=False) for step in steps), column
            finished.append(replace(trajectory, steps=steps, source_format=name, metadata=facts))
        return finished


def _unread(name: str, claims: Claims) -> RecordError:
    largest = sorted(claims.unread_paths.items(), key=lambda item: -item[1])[:5]
    paths = ", ".join(f"{path} ({n:,} characters)" for path, n in largest)
    return RecordError(
        f"{claims.unread / claims.total:.1%} of the record's text is in fields that the reader {name!r} does not "
        f"know: {paths}; name them in readers.ignore if they do not belong to the trajectory",
        "unread_fields",
    )


def known_formats() -> str:
    """One line that names the formats and what they look like: the first line of each reader's docstring."""
    shapes = ((name, (reader.__doc__ or "no description").split("\n", 1)[0]) for name, reader in READERS.items())
    return "known formats: " + "; ".join(f"{name} ({shape.rstrip('.')})" for name, shape in shapes)


def _reader_of(record: Record) -> str | None:
    return next((name for name, reader in READERS.items() if reader.matches(record)), None)


def _filled(record: Record) -> Record:
    """The record without its empty lists and strings: it is asked first, so that one beside text hides nothing."""
    return {key: value for key, value in record.items() if not (isinstance(value, list | str) and not value)}
