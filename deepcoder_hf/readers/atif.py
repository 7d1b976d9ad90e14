"""ATIF (Agent Trajectory Interchange Format): `schema_version` "ATIF-v1.x" and `steps` with a `source`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.taken import is_small
from deepcoder_hf.trajectory import Observation, Source, Step, ToolCall, Trajectory

SCHEMA = "ATIF"
SOURCES: dict[str, Source] = {"system": "system", "user": "user", "agent": "agent"}
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought")
OUTPUTS = ("stderr", "error_output", "stdout")
"""Keys of `extra` that say what a text is: what the model thought, what a command gave beside its result."""
NOTE = "a small note of the program that wrote the file"
RAW = "the arguments as the model wrote them are read"
MAX_DEPTH = 20
"""How deep sub-agents of sub-agents are read."""
IGNORED = {
    "**steps[].source": "structure, not text",
    "**steps[].observation.results[].subagent_trajectory_ref": "where a sub-agent's own trajectory stands",
    "**steps[].model_name": "the model of a step; that of the agent stands in the metadata",
    "**steps[].reasoning_effort": "a setting of the model",
    "**steps[].metrics": "statistics",
    "**final_metrics": "statistics",
    "**agent.extra": "settings of the agent's program",
    "extra*": "notes of the program that wrote the file",
    "**subagent_trajectories[].extra": "notes of the program that wrote the file",
    "**schema_version": "structure, not text",
    "**continued_trajectory_ref": "where the continuation stands",
}
"""What is no part of a trajectory (readers/claims.py)."""


def matches(record: Record) -> bool:
    """A schema version of ATIF and a list of steps."""
    version = record.get("schema_version")
    return isinstance(version, str) and version.upper().startswith(SCHEMA) and "steps" in record


def read(record: Record) -> list[Trajectory]:
    """Read one document: its trajectory, and one for each sub-agent that it embeds.

    A document that the `atif` package finds invalid is read where its steps can be understood; the metadata then has
    `atif_valid` False and the first error.

    Raises:
        RecordError: Its steps cannot be understood (`invalid_atif`), no agent says anything (`no_assistant_turn`), or
            a part has no text (`unsupported_modality`).
    """
    error = first_error(record)
    found = list(_trajectories(record, None, 0, error))
    if not any(_says_something(step) for trajectory in found for step in trajectory.steps):
        raise RecordError("expected an agent step with text, reasoning or calls, got none", "no_assistant_turn")
    return [trajectory for trajectory in found if trajectory.steps]


def first_error(record: Record) -> str | None:
    """What the `atif` package says against a document, as one line; None if it is valid."""
    from atif import Trajectory as Document
    from pydantic import ValidationError

    try:
        Document.model_validate(dict(record))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "document"
        return f"{where}: {first['msg']}"
    except RecursionError:
        return "document: sub-agents are nested too deep"
    return None


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Small notes under `extra`; what is longer there counts as unread unless its key says what it is."""
    found = [(text, NOTE) for text in _notes(record, MAX_DEPTH) if is_small(text)]
    return [*found, *((arguments, RAW) for arguments in _parsed_again(record, MAX_DEPTH))]


def _parsed_again(record: Record, depth: int) -> Iterator[Any]:
    """Arguments of calls whose raw text is noted, and read instead."""
    for step in turns.objects_of(record.get("steps")):
        written = _raw_arguments(step.get("extra"))
        yield from (
            call.get("arguments")
            for call in turns.objects_of(step.get("tool_calls"))
            if str(call.get("tool_call_id")) in written
        )
    for child in turns.objects_of(record.get("subagent_trajectories")) if depth else ():
        yield from _parsed_again(child, depth - 1)


def _notes(record: Record, depth: int) -> Iterator[str]:
    """The strings under `extra` of steps, calls and results, but those whose key says what they are."""
    for step in turns.objects_of(record.get("steps")):
        results = turns.objects_of(turns.object_of(step.get("observation")).get("results"))
        for item in (step, *turns.objects_of(step.get("tool_calls")), *results):
            yield from _strings(item.get("extra"))
    for child in turns.objects_of(record.get("subagent_trajectories")) if depth else ():
        yield from _notes(child, depth - 1)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in (*THOUGHTS, *OUTPUTS):
                yield from _strings(item)


def _told_beside(extra: Any, keys: tuple[str, ...]) -> list[str]:
    """Texts under `extra`, or under the name of a program in it, whose key says what they are."""
    notes = turns.object_of(extra)
    listed = [notes, *(note for note in notes.values() if isinstance(note, Mapping))]
    found = [text for note in listed for key in keys if (text := turns.string_of(note.get(key))) and text.strip()]
    return list(dict.fromkeys(found))


def _trajectories(record: Record, parent: str | None, depth: int, error: str | None) -> Iterator[Trajectory]:
    where = "steps" if depth == 0 else f"sub-agent {record.get('trajectory_id')!r:.80}: steps"
    raw = record.get("steps")
    if not isinstance(raw, list) or not raw or not all(isinstance(step, Mapping) for step in raw):
        raise _invalid(f"{where}: expected a list of step objects, got {_kind(raw)}", error)
    steps = [found for number, step in enumerate(raw, start=1) for found in _steps(step, f"{where} {number}", error)]
    number = fields.identifier(record, ("trajectory_id", "session_id"))
    agent = record.get("agent")
    agent = agent if isinstance(agent, Mapping) else {}
    yield Trajectory(
        steps=tuple(steps),
        source_format="atif",
        trajectory_id=number,
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=_facts(record, agent, parent is not None or depth > 0, error if depth == 0 else None),
        tools=fields.tools_of(agent, []),
        parent_id=parent,
    )
    children = record.get("subagent_trajectories") or []
    if not isinstance(children, list) or not all(isinstance(child, Mapping) for child in children):
        raise _invalid(f"subagent_trajectories: expected a list of objects, got {_kind(children)}", error)
    if children and depth >= MAX_DEPTH:
        raise _invalid(f"sub-agents are nested more than {MAX_DEPTH} deep", error)
    for child in children:
        yield from _trajectories(child, number, depth + 1, error)


def _facts(record: Record, agent: Mapping[str, Any], is_child: bool, error: str | None) -> dict[str, Any]:
    """What the document says beside its steps; texts of agent and notes in full."""
    facts: dict[str, Any] = {"kind": "sub_agent"} if is_child else {}
    if isinstance(model := agent.get("model_name"), str) and model:
        facts["model"] = model
    told = {f"agent_{key}": agent.get(key) for key in ("name", "version")}
    told |= {key: record.get(key) for key in ("session_id", "notes", "continued_trajectory_ref")}
    if extra := {key: value for key, value in told.items() if isinstance(value, str) and value}:
        facts["extra"] = extra
    if error is not None:
        facts |= {"atif_valid": False, "atif_error": error}
    return facts


def _steps(raw: Mapping[str, Any], where: str, error: str | None) -> list[Step]:
    """One step as the document has it; results of a step that no agent made stand alone."""
    source = raw.get("source")
    if not isinstance(source, str) or source not in SOURCES:
        raise _invalid(f"{where}: expected a source system, user or agent, got {source!r:.80}", error)
    message = _text(raw.get("message"), f"{where}: message", error)
    reasoning = _text(raw.get("reasoning_content"), f"{where}: reasoning_content", error)
    written = _raw_arguments(raw.get("extra"))
    listed = _objects(raw.get("tool_calls"), f"{where}: tool_calls", error)
    calls = tuple(_call(call, written, where, error) for call in listed)
    results = _results(raw.get("observation"), where, error)
    trained = raw.get("is_copied_context") is not True
    if source == "agent":
        metrics = raw.get("metrics")
        metrics = metrics if isinstance(metrics, Mapping) else {}
        step = Step(
            *("agent", message or None, reasoning or None, calls, results),
            trained=trained and raw.get("llm_call_count") != 0,
            prompt_token_ids=_ids(metrics.get("prompt_token_ids")),
            completion_token_ids=_ids(metrics.get("completion_token_ids")),
        )
        thoughts = [text for text in _told_beside(raw.get("extra"), THOUGHTS) if text not in (reasoning or "")]
        if thoughts and not reasoning:
            step = replace(step, reasoning_content=thoughts.pop(0))
        before = [Step("agent", None, text, trained=step.trained) for text in thoughts]
        return [*before, step] if before or _says_something(step) or results else []
    if calls or reasoning:
        raise _invalid(f"{where}: reasoning and calls belong to an agent, got them at {source!r}", error)
    said = [Step(SOURCES[source], message, trained=trained)] if message else []
    return said + [Step("tool", item.content, tool_call_id=item.tool_call_id, trained=trained) for item in results]


def _raw_arguments(extra: Any) -> dict[str, str]:
    """Arguments as the model wrote them, by call: ATIF allows objects only, so converters note what is no JSON here.

    They stand under `extra.<program>.calls.<id>.arguments_raw`.
    """
    notes = (
        [note.get("calls") for note in extra.values() if isinstance(note, Mapping)]
        if isinstance(extra, Mapping)
        else []
    )
    return {
        str(number): call["arguments_raw"]
        for calls in notes
        if isinstance(calls, Mapping)
        for number, call in calls.items()
        if isinstance(call, Mapping) and isinstance(call.get("arguments_raw"), str)
    }


def _call(call: Mapping[str, Any], written: Mapping[str, str], where: str, error: str | None) -> ToolCall:
    name, arguments, number = call.get("function_name"), call.get("arguments"), call.get("tool_call_id")
    if not isinstance(name, str) or arguments is None:
        raise _invalid(
            f"{where}: expected a call with function_name and arguments, got {sorted(map(str, call))}", error
        )
    number = str(number) if isinstance(number, str | int) else None
    return ToolCall(name, written.get(number or "", fields.verbatim(arguments)), number)


def _results(observation: Any, where: str, error: str | None) -> tuple[Observation, ...]:
    """Results of a step; one that only refers to a sub-agent says nothing here."""
    if observation is None:
        return ()
    if isinstance(observation, str):
        return (Observation(observation),)
    if not isinstance(observation, Mapping):
        raise _invalid(f"{where}: expected an observation with results, got {_kind(observation)}", error)
    results = []
    for item in _objects(observation.get("results"), f"{where}: results", error):
        number, content = item.get("source_call_id"), item.get("content")
        text = _text(content, f"{where}: result", error)
        beside = [one for one in _told_beside(item.get("extra"), OUTPUTS) if one.strip() not in (text or "")]
        named = str(number) if isinstance(number, str | int) else None
        results += [Observation(one, named) for one in ([] if text is None else [text]) + beside]
    return tuple(results)


def _text(value: Any, where: str, error: str | None) -> str | None:
    """A text, or the text of a list of parts."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return fields.text_of_parts(value, where)
    raise _invalid(f"{where}: expected text or a list of parts, got {_kind(value)}", error)


def _objects(value: Any, where: str, error: str | None) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise _invalid(f"{where}: expected a list of objects, got {_kind(value)}", error)
    return value


def _ids(value: Any) -> tuple[int, ...]:
    """Token ids; what is no list of whole numbers is none."""
    known = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    return tuple(value) if known else ()


def _says_something(step: Step) -> bool:
    return step.source == "agent" and bool(step.message or step.reasoning_content or step.tool_calls)


def _kind(value: Any) -> str:
    return "nothing" if value in (None, [], {}) else type(value).__name__


def _invalid(message: str, error: str | None) -> RecordError:
    known = f"; the first error of the atif package: {error}" if error else ""
    return RecordError(f"{message}{known}"[:1000].replace("\n", " "), "invalid_atif")
