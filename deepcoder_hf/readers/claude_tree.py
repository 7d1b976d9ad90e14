"""Lines of a Claude Code session -> its chains: the live branch of each main session, side chain and sub-agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepcoder_hf.readers import sessions, tree
from deepcoder_hf.readers.tree import Entry

LINKED = ("user", "assistant", "system", "attachment", "progress")
"""Types of lines that stand in the tree; the others are notes of the harness."""
NOTES = "a note of the harness that no model was given"
ABANDONED = "abandoned branch: the user went back and went on elsewhere"
FAILED = "a notice of the harness in place of a turn that the API refused"
SHOWN_ONLY = "shown to the user only"
AGAIN = "the same line again"
TWICE = "the messages of this agent stand as a side chain too"


@dataclass(slots=True)
class Chain:
    """The lines of one agent's conversation on its live branch."""

    session: str | None
    """Id of the session in which it ran."""
    agent: str | None
    """Id of the side chain; None for the main conversation."""
    kind: str = ""
    """`side_chain` or `sub_agent`; empty for the main conversation."""
    entries: list[Entry] = field(default_factory=list)
    """What the model was given or wrote, and the marks of compaction, in order."""
    notes: list[Entry] = field(default_factory=list)
    abandoned: list[Entry] = field(default_factory=list)
    n_missing: int = 0
    """Parents that are not in the file."""
    prompt: str | None = None
    """What the agent was asked, where no message says it."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a file holds."""

    chains: list[Chain]
    left_out: list[tuple[Any, str]]
    """Lines that are in no chain, with the reason."""


def session_of(events: Sequence[Mapping[str, Any]]) -> Session:
    """Divide the lines of a file into chains; main conversations first."""
    left_out: list[tuple[Any, str]] = []
    main: list[Entry] = []
    sides: dict[str, list[Entry]] = {}
    progress: dict[str, list[Mapping[str, Any]]] = {}
    owners: dict[str, str] = {}
    is_tree = any("parentUuid" in event for event in events)
    for number, event in enumerate(events):
        entry = Entry(event, number, (_text(event, "uuid") if is_tree else None) or f"#{number}")
        if event.get("type") not in LINKED or entry.key in owners:
            left_out.append((event, AGAIN if entry.key in owners else NOTES))
            continue
        data = event.get("data")
        if event["type"] == "progress" and isinstance(data, Mapping) and isinstance(data.get("agentId"), str):
            progress.setdefault(data["agentId"], []).append(event)
        owner = _owner(entry, owners)
        owners[entry.key] = owner
        (sides.setdefault(owner, []) if owner else main).append(entry)
    chains = _chains(main, is_tree, None)
    session = chains[0].session if chains else None
    chains += [chain for owner, lines in sides.items() for chain in _chains(lines, is_tree, owner)]
    for agent, lines in progress.items():
        if agent in sides:
            left_out += [(line, TWICE) for line in lines]
        elif chain := _progress_chain(agent, lines, session):
            chains.append(chain)
    if any(chain.session is None for chain in chains):
        name = sessions.derived_id(events)
        for chain in chains:
            chain.session = chain.session or name
    for chain in chains:
        left_out += [(entry.event, ABANDONED) for entry in chain.abandoned]
        left_out += [(entry.event, _why_not_said(entry.event)) for entry in chain.notes]
    return Session([chain for chain in chains if chain.entries], left_out)


def is_boundary(event: Mapping[str, Any]) -> bool:
    """Whether a line says that the context was compacted before it."""
    return event.get("type") == "system" and event.get("subtype") == "compact_boundary"


def message_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a line, empty where there is none."""
    message = event.get("message")
    return message if isinstance(message, Mapping) else {}


def blocks_of(event: Mapping[str, Any]) -> list[Any]:
    """The content of a line's message as a list of blocks."""
    content = message_of(event).get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def _text(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    return value if isinstance(value, str) and value else None


def _why_not_said(event: Mapping[str, Any]) -> str:
    kind = event.get("type")
    if kind == "system":
        return "" if event.get("subtype") == "local_command" or is_boundary(event) else NOTES
    if kind == "progress":
        return NOTES
    if kind == "assistant" and (event.get("isApiErrorMessage") or message_of(event).get("model") == "<synthetic>"):
        return FAILED
    if kind == "user" and event.get("isVisibleInTranscriptOnly") and not event.get("isCompactSummary"):
        return SHOWN_ONLY
    return ""


def _owner(entry: Entry, owners: Mapping[str, str]) -> str:
    """The agent of a line: its own id, the call that started it, or the root of its side chain; empty for main."""
    event = entry.event
    if name := _text(event, "parent_tool_use_id"):
        return name
    if not event.get("isSidechain"):
        return ""
    return _text(event, "agentId") or owners.get(_text(event, "parentUuid") or "") or entry.key


def _chains(lines: Sequence[Entry], is_tree: bool, agent: str | None) -> list[Chain]:
    n_missing = tree.link(lines, _parents(lines, is_tree))
    groups: dict[str, list[Entry]] = {}
    roots: dict[int, Entry] = {}
    for entry in lines:
        path = [entry] if id(entry) in roots or id(entry.parent) in roots else tree.path_to(entry)
        root = roots.get(id(entry)) or roots.get(id(entry.parent)) or path[0]
        roots.update((id(item), root) for item in path)
        groups.setdefault(_session_id(root.event) or "", []).append(entry)
    chains = []
    for session, members in groups.items():
        has_agent = _text(members[0].event, "agentId") or _text(members[0].event, "parent_tool_use_id")
        kind = "" if agent is None else "sub_agent" if has_agent else "side_chain"
        live = _live(members)
        held = {id(entry) for entry in live}
        named = (name for entry in members if (name := _session_id(entry.event)))
        chain = Chain(sessions.names_said([session or next(named, None)]) or None, agent, kind, n_missing=n_missing)
        for entry in [*live, *(entry for entry in members if id(entry) not in held)]:
            if _why_not_said(entry.event):
                chain.notes.append(entry)
            else:
                (chain.entries if id(entry) in held else chain.abandoned).append(entry)
        chains.append(chain)
    return chains


def _session_id(event: Mapping[str, Any]) -> str | None:
    return _text(event, "sessionId") or _text(event, "session_id")


def _parents(lines: Sequence[Entry], is_tree: bool) -> list[str | None]:
    """For each line the key of the one before it; a compacted context goes on from what it replaced."""
    parents: list[str | None] = []
    for place, entry in enumerate(lines):
        before = lines[place - 1].key if place else None
        event = entry.event
        if not is_tree:
            parents.append(before)
            continue
        parent = _text(event, "parentUuid") or _text(event, "logicalParentUuid")
        if parent is None and (is_boundary(event) or event.get("isCompactSummary")):
            parent = before
        parents.append(parent)
    return parents


def _live(lines: Sequence[Entry]) -> list[Entry]:
    """The branch of the last message, with the parallel calls and results that hang beside it."""
    leaf = next((e for e in reversed(lines) if e.event.get("type") in ("user", "assistant")), None)
    if leaf is None:
        return []
    path = tree.path_to(leaf)
    held = {id(entry) for entry in path}
    messages = {name for entry in path if (name := _message_id(entry.event))}
    siblings = [e for e in lines if id(e) not in held and _message_id(e.event) in messages]
    calls = {name for entry in [*path, *siblings] for name in _ids(entry.event, "tool_use", "id")}
    answered = {name for entry in path for name in _ids(entry.event, "tool_result", "tool_use_id")}
    held |= {id(entry) for entry in siblings}
    for entry in lines:
        results = set(_ids(entry.event, "tool_result", "tool_use_id"))
        if id(entry) not in held and results and results <= calls and not results & answered:
            siblings.append(entry)
            answered |= results
    return tree.with_siblings(path, siblings) if siblings else path


def _message_id(event: Mapping[str, Any]) -> str | None:
    return _text(message_of(event), "id") if event.get("type") == "assistant" else None


def _ids(event: Mapping[str, Any], kind: str, name: str) -> Iterable[str]:
    for block in blocks_of(event):
        if isinstance(block, Mapping) and block.get("type") == kind and isinstance(block.get(name), str):
            yield block[name]


def _progress_chain(agent: str, lines: Sequence[Mapping[str, Any]], session: str | None) -> Chain | None:
    """A sub-agent of which only the progress lines of its parent tell, each with one message."""
    messages = [data["message"] for line in lines if isinstance((data := line["data"]).get("message"), Mapping)]
    entries = [
        Entry(message, number, f"#{number}")
        for number, message in enumerate(messages)
        if message.get("type") in ("user", "assistant")
    ]
    prompt = next((text for line in lines if (text := _text(line["data"], "prompt"))), None)
    own = sessions.names_said([_session_id(lines[0]) or session])
    return Chain(own or None, agent, "sub_agent", entries, prompt=prompt) if entries else None
