"""Codex: a rollout of JSONL lines (session_meta, response_item, event_msg; older: a header and items) as `events`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import sessions, tree, turns
from deepcoder_hf.readers.codex_items import SHOWN, Item, displayed, steps_of, strings_in, unread_parts, user_text
from deepcoder_hf.readers.fields import Record, verbatim
from deepcoder_hf.trajectory import Step, Trajectory

DISPLAY = "the log of what was displayed; what the model wrote and saw stands in the items"
OWN_CALLS = ("exec_command_", "mcp_tool_call_", "patch_apply_")
SETTINGS = "settings of the harness"
ROLLED_BACK = "abandoned branch: the user went back and went on elsewhere"
_PROMPTS = ("user_instructions", "developer_instructions")
_META_PROMPTS = ("base_instructions", "instructions", *_PROMPTS)
IGNORED = {
    **{
        f"{name}[].payload.{key}": "an id"
        for name in sessions.EVENT_LISTS
        for key in ("call_id", "turn_id", "internal_chat_message_metadata_passthrough")
    },
    **{f"{name}[].{key}": "structure, not text" for name in sessions.EVENT_LISTS for key in ("record_type", "ordinal")},
    **{f"{name}[].payload.phase": "structure, not text" for name in sessions.EVENT_LISTS},
}
"""What is left out of a line that is read; see `left_out` for whole lines."""


@dataclass(slots=True)
class _Context:
    """What the model had before it between two compactions."""

    before: list[Item] = field(default_factory=list)
    """Items that a compaction took over: they were said in the context before."""
    summary: str | None = None
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class _Rollout:
    contexts: list[_Context] = field(default_factory=lambda: [_Context()])
    metas: list[Mapping[str, Any]] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    """Instructions that stand outside of the items."""
    models: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    n_aborted: int = 0
    left_out: list[tuple[Any, str]] = field(default_factory=list)
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    """Displayed calls and results."""
    rolled_back: list[Item] = field(default_factory=list)


def matches(record: Record) -> bool:
    """A list of events that Codex wrote."""
    return sessions.harness_of_events(sessions.events_of(record)) == "codex"


def read(record: Record) -> list[Trajectory]:
    """Read one rollout: a trajectory for what came before the first compaction, and one after each.

    Raises:
        RecordError: No turn of an agent (`no_assistant_turn`), or a part without text (`unsupported_modality`).
    """
    events = sessions.events_of(record)
    rollout = _rollout(events)
    named = (text for meta in rollout.metas if (text := _text(meta, "id") or _text(meta, "session_id")))
    name = next(named, None) or sessions.derived_id(events)
    found = [
        trajectory
        for number, context in enumerate(rollout.contexts)
        if (trajectory := _trajectory(rollout, number, context, name)) is not None
    ]
    if not found:
        message = "expected a rollout with an assistant turn, got none; drop it"
        raise RecordError(message, "no_assistant_turn")
    first = replace(found[0], metadata={**found[0].metadata, **sessions.session_facts(record)})
    return [first, *found[1:]]


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Lines of a rollout that read as well and are in no trajectory, each with the reason."""
    rollout = _rollout(sessions.events_of(record))
    for context in rollout.contexts:
        if context.summary and _holds(steps_of([*context.before, *context.items], Counter()), context.summary):
            rollout.left_out.append((context.summary, "a summary that the new context holds itself"))
        rollout.left_out += [found for item in (*context.before, *context.items) for found in unread_parts(item)]
        if not _says_something(steps_of(context.items, Counter())):
            rollout.left_out += [(item, "a context without a turn of the agent") for item in context.items]
            rollout.left_out += [(item, "a context without a turn of the agent") for item in context.before]
            rollout.left_out.append((context.summary, "a context without a turn of the agent"))
    return rollout.left_out


def _rollout(events: list[Mapping[str, Any]]) -> _Rollout:
    rollout = _Rollout()
    for event in events:
        payload = event.get("payload")
        kind = event.get("type")
        if isinstance(kind, str) and kind in sessions.CODEX_LINES and isinstance(payload, Mapping):
            _add_line(rollout, kind, payload)
        elif kind == "world_state":
            rollout.left_out.append((event, SETTINGS))
        elif isinstance(kind, str) and payload is None:
            rollout.contexts[-1].items.append(event)
        elif kind is None and "instructions" in event:
            _add_meta(rollout, event)
    _drop_twins(rollout)
    return rollout


def _drop_twins(rollout: _Rollout) -> None:
    """Take out what was displayed of items that are there themselves."""
    items = [item for context in rollout.contexts for item in (*context.before, *context.items)]
    own = [item for item in (*items, *rollout.rolled_back) if SHOWN not in item]
    texts = {text.strip() for item in own for text in strings_in(item)}
    joined = "\0".join(texts)
    numbers = {item.get("call_id") for item in own if isinstance(item.get("call_id"), str)}
    for context in rollout.contexts:
        kept = []
        for item in context.items:
            if SHOWN not in item:
                kept.append(item)
                continue
            text = item[SHOWN]
            if text.strip() not in texts and text.strip() not in joined:
                kept.append(item)
            else:
                rollout.left_out.append((text, DISPLAY))
        context.items = kept
    rollout.left_out += [(call, DISPLAY) for call in rollout.calls if turns.string_of(call.get("call_id")) in numbers]


def _is_own_call(payload: Mapping[str, Any]) -> bool:
    """Whether an event tells a call or its result, which is left out only where an item tells it, too."""
    kind = payload.get("type")
    return isinstance(kind, str) and kind.startswith(OWN_CALLS)


def _add_line(rollout: _Rollout, kind: str, payload: Mapping[str, Any]) -> None:
    if kind == "response_item":
        rollout.contexts[-1].items.append(payload)
    elif kind == "session_meta":
        _add_meta(rollout, payload)
    elif kind == "turn_context":
        if (model := _text(payload, "model")) and model not in rollout.models:
            rollout.models.append(model)
        _add_prompts(rollout, payload, _PROMPTS)
    elif kind == "compacted":
        history = payload.get("replacement_history")
        before = [item for item in history if isinstance(item, Mapping)] if isinstance(history, list) else []
        rollout.contexts.append(_Context(before, _text(payload, "message")))
    else:
        shown = displayed(payload)
        if shown is not None:
            rollout.contexts[-1].items.append(shown)
            rollout.left_out.append(({k: v for k, v in payload.items() if v is not shown[SHOWN]}, DISPLAY))
        elif _is_own_call(payload):
            rollout.calls.append(payload)
        else:
            rollout.left_out.append((payload, DISPLAY))
        rollout.n_aborted += payload.get("type") == "turn_aborted"
        if payload.get("type") == "thread_rolled_back":
            _roll_back(rollout, payload.get("num_turns"))


def _add_meta(rollout: _Rollout, meta: Mapping[str, Any]) -> None:
    rollout.metas.append(meta)
    _add_prompts(rollout, meta, _META_PROMPTS)


def _add_prompts(rollout: _Rollout, payload: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Note instructions to the model; everything else of the object is settings."""
    for key, value in payload.items():
        if key in names:
            text = value.get("text") if isinstance(value, Mapping) else value
            if isinstance(text, str) and text and text not in rollout.prompts:
                rollout.prompts.append(text)
        elif key != "dynamic_tools":
            rollout.left_out.append((value, SETTINGS))


def _roll_back(rollout: _Rollout, n_turns: Any) -> None:
    """Take the last turns of the user, and all that followed, out of the context."""
    items = rollout.contexts[-1].items
    told = [place for place, item in enumerate(items) if user_text(item) is not None and SHOWN not in item]
    told = told or [place for place, item in enumerate(items) if user_text(item) is not None]
    if not isinstance(n_turns, int) or isinstance(n_turns, bool) or n_turns < 1 or not told:
        return
    start = told[-min(n_turns, len(told))]
    rollout.dropped["branches"] += 1
    own = [item for item in items[start:] if SHOWN not in item] or items[start:]
    rollout.dropped["steps"] += len(own)
    rollout.dropped["characters"] += sum(map(tree.n_chars, own))
    rollout.rolled_back += own
    rollout.left_out += [(item, ROLLED_BACK) for item in items[start:]]
    del items[start:]


def _trajectory(rollout: _Rollout, number: int, context: _Context, name: str) -> Trajectory | None:
    counts: Counter[str] = Counter()
    own = steps_of(context.items, counts)
    if not _says_something(own):
        return None
    steps = [*steps_of(context.before, Counter(), trained=False), *own]
    if context.summary and not _holds(steps, context.summary):
        steps.insert(0, Step("user", context.summary))
    given = [step.message or "" for step in steps if step.source != "agent"]
    prompts = [Step("system", text) for text in rollout.prompts if not any(text in other for other in given)]
    return Trajectory(
        steps=(*prompts, *steps),
        source_format="codex",
        trajectory_id=f"{name}#{number}" if number else name,
        group_id=name,
        metadata=_facts(rollout, number, counts),
        tools=_tools(rollout),
        parent_id=name if number else _parent(rollout),
    )


def _facts(rollout: _Rollout, number: int, counts: Counter[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"harness": "codex", **counts}
    version = sessions.names_said(meta.get("cli_version") for meta in rollout.metas)
    if rollout.models:
        facts["model"] = sessions.names_said(rollout.models)
    if version:
        facts["harness_version"] = version
    if number:
        return {**facts, "kind": "segment", "segment": number}
    if _parent(rollout):
        facts["kind"] = "sub_agent" if _spawned_by(rollout.metas[0]) else "fork"
    if rollout.dropped:
        facts["dropped_branches"] = dict(rollout.dropped)
    return {**facts, "aborted_turns": rollout.n_aborted} if rollout.n_aborted else facts


def _tools(rollout: _Rollout) -> tuple[str, ...]:
    lists = [meta["dynamic_tools"] for meta in rollout.metas if isinstance(meta.get("dynamic_tools"), list)]
    return tuple(dict.fromkeys(verbatim(tool) for tools in lists for tool in tools if isinstance(tool, Mapping)))


def _parent(rollout: _Rollout) -> str | None:
    """The thread that started this one, or from which it was forked."""
    if not rollout.metas:
        return None
    meta = rollout.metas[0]
    return _spawned_by(meta) or _text(meta, "forked_from_id")


def _spawned_by(meta: Mapping[str, Any]) -> str | None:
    source: Any = meta.get("source")
    for key in ("subagent", "thread_spawn"):
        source = source.get(key) if isinstance(source, Mapping) else None
    return _text(source, "parent_thread_id") if isinstance(source, Mapping) else _text(meta, "parent_thread_id")


def _says_something(steps: list[Step]) -> bool:
    return any(step.source == "agent" for step in steps)


def _holds(steps: list[Step], text: str) -> bool:
    return any(text in (step.message or "") for step in steps)


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None
