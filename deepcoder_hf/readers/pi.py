"""Pi coding agent: a session header (type session), then a tree of entries (id, parentId, message), as `events`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import sessions, tree
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.pi_steps import FAILED, is_empty_failure, is_outside, models_of, steps_of
from deepcoder_hf.readers.tree import Entry
from deepcoder_hf.trajectory import Trajectory

ABANDONED = "abandoned branch: the user went back and went on elsewhere"
NOTES = "a note of the harness that no model was given"
_SAID = ("message", "compaction", "branch_summary", "custom_message")
_LINE = {
    **dict.fromkeys(("cwd", "parentSession", "branchedFrom"), "where the session ran"),
    **dict.fromkeys(("provider", "modelId", "thinkingLevel", "version"), "a setting of the harness"),
    **dict.fromkeys(("parentId", "firstKeptEntryId", "fromId", "message.fromId"), "an id"),
    **dict.fromkeys(("customType", "message.customType"), "structure, not text"),
    **dict.fromkeys(("details", "message.details"), "the harness' own form of a result, which no model was given"),
    **dict.fromkeys(("message.api", "message.provider", "message.model"), "where the model ran"),
    **dict.fromkeys(("message.responseId", "message.toolCallId"), "an id"),
    "message.errorMessage": FAILED,
    "message.fullOutputPath": "where the harness kept the whole output",
    **dict.fromkeys(
        (f"message.content[].{key}" for key in ("thinkingSignature", "thoughtSignature", "textSignature")),
        "opaque data of the provider",
    ),
}
IGNORED = {f"{name}[].{path}": reason for name in sessions.EVENT_LISTS for path, reason in _LINE.items()}
"""What is left out of a line that is read; see `left_out` for whole lines."""


@dataclass(slots=True)
class _Branch:
    """The live branch of one session."""

    header: Mapping[str, Any]
    entries: list[Entry] = field(default_factory=list)
    abandoned: list[Entry] = field(default_factory=list)
    left_out: list[tuple[Any, str]] = field(default_factory=list)
    n_missing: int = 0


def matches(record: Record) -> bool:
    """A list of events that Pi wrote."""
    return sessions.harness_of_events(sessions.events_of(record)) == "pi"


def read(record: Record) -> list[Trajectory]:
    """Read the live branch of a session; what follows a compaction is a trajectory of its own.

    Raises:
        RecordError: No turn of an agent (`no_assistant_turn`), or a part without text (`unsupported_modality`).
    """
    found, _ = _understood(record)
    if not found:
        message = "expected a session with an assistant turn, got none on its live branch"
        raise RecordError(message, "no_assistant_turn")
    first = replace(found[0], metadata={**found[0].metadata, **sessions.session_facts(record)})
    return [first, *found[1:]]


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Lines of a session that read as well and are in no trajectory, each with the reason."""
    return _understood(record)[1]


def _understood(record: Record) -> tuple[list[Trajectory], list[tuple[Any, str]]]:
    trajectories: list[Trajectory] = []
    unused: list[tuple[Any, str]] = []
    for branch in _branches(sessions.events_of(record)):
        unused += branch.left_out
        for number, lines in enumerate(_contexts(branch)):
            found = _trajectory(branch, number, lines)
            if found is None:
                unused += [(entry.event, "a context without a turn of the agent") for entry, _ in lines]
            else:
                trajectories.append(found)
    return trajectories, unused


def _branches(events: Sequence[Mapping[str, Any]]) -> list[_Branch]:
    """A file may hold several sessions after another; each begins with its header."""
    sections: list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = []
    for event in events:
        if event.get("type") == "session":
            sections.append((event, []))
        else:
            if not sections:
                sections.append(({}, []))
            sections[-1][1].append(event)
    return [_branch(header, lines) for header, lines in sections]


def _branch(header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> _Branch:
    branch = _Branch(header)
    is_tree = any("parentId" in event for event in lines)
    entries = [
        Entry(event, number, (_text(event, "id") if is_tree else None) or f"#{number}")
        for number, event in enumerate(lines)
    ]
    parents = [
        (_text(e.event, "parentId") if "parentId" in e.event else entries[place - 1].key if place else None)
        if is_tree
        else (entries[place - 1].key if place else None)
        for place, e in enumerate(entries)
    ]
    branch.n_missing = tree.link(entries, parents)
    path = tree.path_to(entries[-1]) if entries else []
    held = {id(entry) for entry in path}
    for entry in entries:
        kind, message = entry.event.get("type"), entry.event.get("message")
        if kind not in _SAID or is_outside(entry.event):
            branch.left_out.append((entry.event, NOTES))
        elif isinstance(message, Mapping) and is_empty_failure(message):
            branch.left_out.append((entry.event, FAILED))
        elif id(entry) not in held:
            branch.abandoned.append(entry)
            branch.left_out.append((entry.event, ABANDONED))
    outside = {id(event) for event, _ in branch.left_out}
    branch.entries = [entry for entry in path if id(entry.event) not in outside]
    return branch


def _contexts(branch: _Branch) -> list[list[tuple[Entry, bool]]]:
    """The entries between compactions; a new context begins with the summary and what was kept, untrained."""
    contexts: list[list[tuple[Entry, bool]]] = [[]]
    copied = _copied_before(branch.header)
    for place, entry in enumerate(branch.entries):
        if entry.event.get("type") == "compaction":
            first = entry.event.get("firstKeptEntryId")
            start = next((n for n, old in enumerate(branch.entries[:place]) if old.key == first), place)
            contexts.append([(entry, False)])
            contexts[-1] += [
                (old, False) for old in branch.entries[start:place] if old.event.get("type") != "compaction"
            ]
            continue
        time = entry.event.get("timestamp")
        contexts[-1].append((entry, not (copied and isinstance(time, str) and time < copied)))
    return [lines for lines in contexts if lines]


def _copied_before(header: Mapping[str, Any]) -> str | None:
    """The time of a fork: entries that are older were copied from the session it was forked from."""
    is_fork = _text(header, "parentSession") or _text(header, "branchedFrom")
    return _text(header, "timestamp") if is_fork else None


def _trajectory(branch: _Branch, number: int, lines: Sequence[tuple[Entry, bool]]) -> Trajectory | None:
    counts: Counter[str] = Counter()
    steps = steps_of(((entry.event, trained) for entry, trained in lines), counts)
    if not any(step.source == "agent" and step.trained for step in steps):
        return None
    name = _text(branch.header, "id") or sessions.derived_id([entry.event for entry in branch.entries])
    facts: dict[str, Any] = {"harness": "pi", **counts}
    if models := models_of([entry.event for entry, _ in lines]):
        facts["model"] = models
    if number:
        facts.update(kind="segment", segment=number)
    elif branch.abandoned:
        facts["dropped_branches"] = _dropped(branch)
    if branch.n_missing and not number:
        facts["missing_parents"] = branch.n_missing
    return Trajectory(
        steps=tuple(steps),
        source_format="pi",
        trajectory_id=f"{name}#{number}" if number else name,
        group_id=name,
        metadata=facts,
        parent_id=name if number else None,
    )


def _dropped(branch: _Branch) -> dict[str, int]:
    """How much was said on branches that the user left."""
    away = {id(entry) for entry in branch.abandoned}
    return {
        "branches": sum(id(entry.parent) not in away for entry in branch.abandoned),
        "steps": len(branch.abandoned),
        "characters": sum(tree.n_chars(_said(entry.event)) for entry in branch.abandoned),
    }


def _said(event: Mapping[str, Any]) -> Any:
    message = event.get("message")
    return message.get("content") if isinstance(message, Mapping) else event.get("summary", event.get("content"))


def _text(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    return value if isinstance(value, str) and value else None
