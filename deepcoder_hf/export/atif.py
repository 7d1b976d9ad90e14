"""ATIF-v1.8 documents (Agent Trajectory Interchange Format): one a line, or one a file with --split-files.

A result that stands alone goes into the step of the agent before it, where its call is (or, without an id, where it
follows at once); any other is a step of source `system` with an observation. Arguments must be an object: arguments
that are none (beside an empty object), or are spelled otherwise, stand verbatim in the step, in
`extra.deepcoder_hf.calls.<id>.arguments_raw`. What ATIF has no field for stands in `extra`: of a step finish_reason,
name, answer, reasoning_kind, trained; of a call its language; of a result the name of its tool; of the document
group_id, parent_id and metadata. An untrained step has `is_copied_context` too, since
consumers leave such steps out. Ids of calls are demanded: where the source has none they are made up.

Not held: whether a result stood alone or in its step.
"""

from __future__ import annotations

import json
from typing import Any

from deepcoder_hf.export.json_text import json_object, same_spelling
from deepcoder_hf.export.losses import Losses
from deepcoder_hf.export.turns import check_structured, facts_of
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

INPUT = "trajectories"
SUFFIXES = ("jsonl", "json")
VERSION = "ATIF-v1.8"
UNKNOWN = "unknown"
Document = dict[str, Any]


def export(trajectory: Trajectory, losses: Losses) -> Document:
    """One trajectory as an ATIF document.

    Raises:
        RecordError: It has no turns.
    """
    check_structured(trajectory)
    facts = facts_of(trajectory)
    agent: Document = {"name": _text(facts, "agent", trajectory.source_format), "version": UNKNOWN}
    if isinstance(facts.get("model"), str):
        agent["model_name"] = facts["model"]
    if trajectory.tools:
        agent["tool_definitions"] = [json.loads(tool) for tool in trajectory.tools]
    document: Document = {"schema_version": VERSION}
    if trajectory.trajectory_id is not None:
        document["trajectory_id"] = trajectory.trajectory_id
    document |= {"agent": agent, "steps": _Steps(losses).of(trajectory)}
    extra = {"group_id": trajectory.group_id, "parent_id": trajectory.parent_id, "metadata": facts or None}
    return document | _extra({name: value for name, value in extra.items() if value is not None})


class _Steps:
    """Builds the steps of a document one by one."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._steps: list[Document] = []
        self._open: list[str] | None = None
        """Ids of the calls of the agent's step that may still get results; None where no result can go there."""
        self._n_ids = 0
        self._taken: set[str] = set()

    def of(self, trajectory: Trajectory) -> list[Document]:
        self._taken = {call.tool_call_id for step in trajectory.steps for call in step.tool_calls if call.tool_call_id}
        for step in trajectory.steps:
            if step.source == "tool":
                self._result(Observation(step.message or "", step.tool_call_id, step.name))
            else:
                self._step(step)
        return self._steps

    def _step(self, step: Step) -> None:
        written: Document = {"step_id": len(self._steps) + 1, "source": step.source, "message": step.message or ""}
        marks = _marks(step)
        if step.source == "agent":
            if step.reasoning_content is not None:
                written["reasoning_content"] = step.reasoning_content
            raw: Document = {}
            calls = [self._call(call, raw) for call in step.tool_calls]
            if calls:
                written["tool_calls"] = calls
            if raw:
                marks["deepcoder_hf"] = {"calls": raw}
            self._open = [call["tool_call_id"] for call in calls]
            given = {"prompt_token_ids": step.prompt_token_ids, "completion_token_ids": step.completion_token_ids}
            if ids := {name: list(value) for name, value in given.items() if value}:
                written["metrics"] = ids
        else:
            self._open = None
        if not step.trained:
            written["is_copied_context"] = True
        self._steps.append(written | _extra(marks))
        for result in step.observations:
            self._result(result)

    def _call(self, call: ToolCall, raw: Document) -> Document:
        """A call; into `raw`, by id, what its arguments were where the object does not say it."""
        arguments = json_object(call.arguments)
        number = call.tool_call_id or self._made_up()
        if arguments is None or not same_spelling(arguments, call.arguments):
            raw[number] = {"arguments_raw": call.arguments}
        written = {"tool_call_id": number, "function_name": call.function_name, "arguments": arguments or {}}
        return written | _extra({} if call.language is None else {"language": call.language})

    def _made_up(self) -> str:
        self._losses.add("made_up_id")
        self._n_ids += 1
        while f"call_{self._n_ids}" in self._taken:
            self._n_ids += 1
        return f"call_{self._n_ids}"

    def _result(self, result: Observation) -> None:
        """Put a result into the agent's step before it, else into a step of its own."""
        written: Document = {} if result.tool_call_id is None else {"source_call_id": result.tool_call_id}
        written |= {"content": result.content} | _extra({} if result.name is None else {"name": result.name})
        if self._open is None or (result.tool_call_id is not None and result.tool_call_id not in self._open):
            observation = {"results": [written]}
            number = len(self._steps) + 1
            self._steps.append({"step_id": number, "source": "system", "message": "", "observation": observation})
            self._open = None
            return
        step = self._steps[-1]
        step.setdefault("observation", {"results": []})["results"].append(written)


def _marks(step: Step) -> Document:
    given = {
        "finish_reason": step.finish_reason,
        "name": step.name,
        "answer": step.answer or None,
        "reasoning_kind": step.reasoning_kind or None,
        "trained": None if step.trained else False,
    }
    return {name: value for name, value in given.items() if value is not None}


def _extra(values: Document) -> Document:
    return {"extra": values} if values else {}


def _text(facts: dict[str, Any], key: str, otherwise: str) -> str:
    value = facts.get(key)
    return value if isinstance(value, str) else otherwise
