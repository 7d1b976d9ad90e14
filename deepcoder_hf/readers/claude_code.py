"""Claude Code: a session of JSONL lines (type user / assistant, uuid, parentUuid, message) as `events`, `loglines`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import sessions, tree
from deepcoder_hf.readers.claude_steps import steps_of
from deepcoder_hf.readers.claude_tree import Chain, is_boundary, message_of, session_of
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.tree import Entry
from deepcoder_hf.trajectory import Step, Trajectory

Lines = list[tuple[Entry, bool]]
"""Lines of one context, each with whether what the agent says there is trained."""
_LINE = {
    **dict.fromkeys(("userType", "entrypoint", "permissionMode", "origin", "level"), "a setting of the harness"),
    **dict.fromkeys(("cwd", "gitBranch", "slug", "teamName", "agentName", "version"), "where the session ran"),
    **dict.fromkeys(("thinkingMetadata", "todos"), "state of the harness, which the model is told in messages"),
    "toolUseResult": "the harness' own form of a result, for its display; the model was given the tool_result",
    "forkedFrom": "an id",
    **dict.fromkeys(("apiError", "subtype", "message.stop_reason"), "structure, not text"),
    "message.stop_sequence": "structure, not text",
    "message.container": "an id",
    "message.context_management": "a setting of the harness",
    "message.content[].caller": "structure, not text",
    "message.content[].data": "opaque data of the provider",
    "message.content[].content[].encrypted_content": "opaque data of the provider",
}
_IDS = (
    *("parentUuid", "logicalParentUuid", "sessionId", "session_id", "requestId", "promptId", "agentId"),
    *("sourceToolAssistantUUID", "sourceToolUseID", "toolUseID", "parentToolUseID", "parent_tool_use_id"),
)
IGNORED = {
    **dict.fromkeys(_IDS, "an id"),
    **{f"{name}[].{path}": reason for name in sessions.EVENT_LISTS for path, reason in _LINE.items()},
}
"""What is left out wherever it stands; see `left_out` for whole lines."""


def matches(record: Record) -> bool:
    """A list of events that Claude Code wrote."""
    return sessions.harness_of_events(sessions.events_of(record)) == "claude_code"


def read(record: Record) -> list[Trajectory]:
    """Read one session: its live branch, a trajectory for each compacted context, side chain and sub-agent.

    Raises:
        RecordError: No turn of an agent (`no_assistant_turn`), a block without text (`unsupported_modality`), or a
            call that says nothing (`bad_tool_calls`).
    """
    found, _ = _understood(record)
    if not found:
        raise RecordError(
            "expected a session with an assistant turn, got none on its live branch; it may hold notices only",
            "no_assistant_turn",
        )
    first = replace(found[0], metadata={**found[0].metadata, **sessions.session_facts(record)})
    return [first, *found[1:]]


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Lines of a session that read as well and are in no trajectory, each with the reason."""
    return _understood(record)[1]


def _understood(record: Record) -> tuple[list[Trajectory], list[tuple[Any, str]]]:
    session = session_of(sessions.events_of(record))
    trajectories: list[Trajectory] = []
    unused = session.left_out
    for chain in session.chains:
        for number, lines in enumerate(_contexts(chain)):
            found = _trajectory(chain, number, lines)
            if found is None:
                unused += [(entry.event, "a context without a turn of the agent") for entry, _ in lines]
            else:
                trajectories.append(found)
        unused += [(e.event, "the mark of a compaction") for e in chain.entries if is_boundary(e.event)]
    return trajectories, unused


def _contexts(chain: Chain) -> list[Lines]:
    """The lines between compactions; what a compaction kept of the old context stands in the new one, untrained."""
    contexts: list[Lines] = [[]]
    by_key = {entry.key: entry for entry in chain.entries}
    kept: list[Entry] = []
    for entry in chain.entries:
        is_summary = bool(entry.event.get("isCompactSummary"))
        if is_boundary(entry.event):
            contexts.append([])
            kept = _kept(entry.event, by_key)
            continue
        if is_summary and contexts[-1]:
            contexts.append([])
        if kept and not is_summary:
            contexts[-1] += [(old, False) for old in kept]
            kept = []
        contexts[-1].append((entry, not isinstance(entry.event.get("forkedFrom"), Mapping)))
    return [lines for lines in contexts if lines]


def _kept(boundary: Mapping[str, Any], by_key: Mapping[str, Entry]) -> list[Entry]:
    """The messages that a compaction took over as they are."""
    facts = boundary.get("compactMetadata")
    segment = facts.get("preservedSegment") if isinstance(facts, Mapping) else None
    if not isinstance(segment, Mapping):
        return []
    head, tail = (by_key.get(str(segment.get(name))) for name in ("headUuid", "tailUuid"))
    if head is None or tail is None:
        return []
    path = tree.path_to(tail)
    start = next((place for place, entry in enumerate(path) if entry is head), len(path))
    return [entry for entry in path[start:] if entry.key in by_key and not is_boundary(entry.event)]


def _trajectory(chain: Chain, number: int, lines: Lines) -> Trajectory | None:
    counts: Counter[str] = Counter()
    steps = steps_of(((entry.event, trained) for entry, trained in lines), counts)
    if not any(step.source == "agent" and step.trained for step in steps):
        return None
    if number == 0 and chain.prompt and not any(chain.prompt == step.message for step in steps):
        steps.insert(0, Step("user", chain.prompt))
    name = chain.session if chain.agent is None else f"{chain.session or ''}/{chain.agent}"
    parent = name if number else chain.session if chain.agent is not None else None
    facts = {**_models([entry for entry, _ in lines]), **counts}
    if chain.kind or number:
        facts["kind"] = chain.kind if not number else "segment"
    if number:
        facts["segment"] = number
    elif chain.abandoned:
        facts["dropped_branches"] = _dropped(chain)
    if chain.n_missing and not number:
        facts["missing_parents"] = chain.n_missing
    return Trajectory(
        steps=tuple(steps),
        source_format="claude_code",
        trajectory_id=f"{name}#{number}" if number and name else name,
        group_id=chain.session,
        metadata=facts,
        parent_id=parent,
    )


def _dropped(chain: Chain) -> dict[str, int]:
    """How much was said on branches that the user left."""
    away = {id(entry) for entry in chain.abandoned}
    return {
        "branches": sum(id(entry.parent) not in away for entry in chain.abandoned),
        "steps": len(chain.abandoned),
        "characters": sum(tree.n_chars(message_of(entry.event).get("content")) for entry in chain.abandoned),
    }


def _models(entries: Sequence[Entry]) -> dict[str, Any]:
    """Which models spoke, and the version of the harness."""
    said = (message_of(entry.event).get("model") for entry in entries if entry.event.get("type") == "assistant")
    facts = {
        "model": sessions.names_said(said),
        "harness_version": sessions.names_said(entry.event.get("version") for entry in entries),
    }
    return {"harness": "claude_code", **{name: value for name, value in facts.items() if value}}
