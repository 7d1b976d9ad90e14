"""smolagents memory: `steps` with task, model_output, code_action, tool_calls, observations, action_output, plan.

The text of a model holds its thought and its code and stays as it is; the call that the harness cut out of it is not
told twice. Agents that a run managed (`managed_agents`) are trajectories of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, parts, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

MARKS = frozenset(("model_input_messages", "model_output_message", "model_output", "code_action", "action_output"))
STEP_LISTS = ("steps", "memory", "messages", "events")
IMAGES = ("task_images", "observations_images")
N_HEAD = 40
"""Characters by which an output is known that was shortened for the model."""
CODE = "python_interpreter"
"""The tool whose call is the code of a text."""
IGNORED = {
    **{f"**{name}[].model_input_messages": "the memory again, as each call was given it" for name in STEP_LISTS},
    **{f"**{name}[].model_output_message.raw.model": "name of the model" for name in STEP_LISTS},
    **{f"**{name}[].model_output_message.raw": "again: the answer of the provider" for name in STEP_LISTS},
    **{f"**{name}[].error.type": "structure, not text" for name in STEP_LISTS},
    **{f"**{name}[].model_output_message.tool_calls[].type": "structure, not text" for name in STEP_LISTS},
    "output": "again: the final answer",
    "timing": "a time",
    "token_usage": "statistics",
    "state": "how the run ended",
}


def matches(record: Record) -> bool:
    """A list of steps in which one has model_output, model_output_message, code_action or action_output."""
    return any(not MARKS.isdisjoint(step) for step in turns.objects_of(_listed(record)))


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: A step is no object or says nothing that is known (`bad_step`), an image
            (`unsupported_modality`), no turn of the agent (`no_assistant_turn`).
    """
    main = _one(record)
    found = [main]
    managed = record.get("managed_agents")
    named = managed.items() if isinstance(managed, Mapping) else enumerate(managed if isinstance(managed, list) else ())
    for name, agent in named:
        if isinstance(agent, Mapping) and matches(agent):
            side = _one(agent)
            facts = {**side.metadata, "kind": "sub_agent", "agent": turns.string_of(agent.get("name")) or str(name)}
            found.append(replace(side, metadata=facts, parent_id=main.trajectory_id, group_id=main.group_id))
    return found


def left_out(record: Record) -> list[tuple[Any, str]]:
    """What a step tells twice: its code, its calls as the harness understood them, its plan, what its action gave."""
    managed = record.get("managed_agents")
    agents = managed.values() if isinstance(managed, Mapping) else managed if isinstance(managed, list) else ()
    runs = [record, *(agent for agent in agents if isinstance(agent, Mapping) and matches(agent))]
    return [note for run in runs for step in turns.objects_of(_listed(run)) for note in _again(step)]


def _again(step: Mapping[str, Any]) -> list[tuple[Any, str]]:
    found = _said(step, "steps[]", {})
    texts = [text for one in found for text in (one.message, *(call.arguments for call in one.tool_calls)) if text]
    notes: list[tuple[Any, str]] = []
    code, plan = turns.string_of(step.get("code_action")), turns.string_of(step.get("plan"))
    if code and _has(texts, code):
        notes.append((code, "the code again, as the harness cut it out of the text"))
    if plan and any(one.message and one.message.strip() in plan for one in found):
        notes.append((plan, "the plan again, in the words of the harness"))
    for call in turns.objects_of(step.get("tool_calls")):
        told = parts.tool_call(call, "tool_calls")
        inside = told.function_name == CODE and _has(texts, told.arguments)
        notes.append((call, "the code again, as a call" if inside else "again: the call, as the harness understood it"))
    seen = turns.text_of(step.get("observations"), "observations")
    if step.get("action_output") not in (None, "") and _is_shown(step["action_output"], seen):
        notes.append((step["action_output"], "what the action returned, which the observations tell"))
    return notes


def _listed(record: Record) -> Any:
    memory = turns.object_of(record.get("memory"))
    return next((r[name] for r in (record, memory) for name in STEP_LISTS if isinstance(r.get(name), list)), None)


def _one(record: Record) -> Trajectory:
    counts: dict[str, Any] = {}
    raw = _listed(record)
    steps: list[Step] = []
    for number, step in enumerate(raw):
        where = f"steps[{number}]"
        if not isinstance(step, Mapping):
            raise RecordError(f"{where}: expected a step as an object, got {type(step).__name__}", "bad_step")
        if any(step.get(name) for name in IMAGES):
            raise RecordError(f"{where}: a step with images cannot be trained as text; drop it", "unsupported_modality")
        steps += _steps(step, where, counts)
    system = _system(record, turns.objects_of(raw))
    if system is not None and not any(step.source == "system" for step in steps):
        steps.insert(0, Step("system", system))
    if (task := turns.string_of(record.get("task"))) and not any(step.source == "user" for step in steps):
        steps.insert(sum(step.source == "system" for step in steps), Step("user", task))
    output = turns.string_of(record.get("output"))
    if output is not None and not _is_told(output, steps):
        steps.append(Step("user", output, name="final_answer"))
    turns.require_agent(steps)
    facts = fields.metadata_of(
        record, (*STEP_LISTS, "managed_agents", "system_prompt", "task", "token_usage", "timing")
    )
    facts.pop("unread_fields", None)
    if isinstance(record.get("output"), str):
        facts["output"] = record["output"]
    return Trajectory(
        steps=tuple(steps),
        source_format="smolagents",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(record.get("tools")),
    )


def _system(record: Record, raw: list[Mapping[str, Any]]) -> str | None:
    """The system prompt: of the record, else the one that the first call was given."""
    memory = turns.object_of(record.get("memory"))
    for given in (record.get("system_prompt"), memory.get("system_prompt")):
        text = given.get("system_prompt") if isinstance(given, Mapping) else given
        if isinstance(text, str) and text:
            return text
    first = next((step["model_input_messages"] for step in raw if step.get("model_input_messages")), None)
    for message in turns.objects_of(first):
        if message.get("role") == "system":
            return turns.text_of(message.get("content"), "model_input_messages") or None
    return None


def _steps(step: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    if MARKS.isdisjoint(step) and "tool_calls" not in step and "plan" not in step:
        for name, source in (("system_prompt", "system"), ("task", "user")):
            if isinstance(step.get(name), str):
                return [Step("system" if source == "system" else "user", step[name])] if step[name] else []
        if "output" in step:  # the final answer again, as a step of its own
            text = fields.verbatim(step["output"])
            return [Step("user", text, name="final_answer")] if text and text != "null" else []
        raise RecordError(f"{where}: expected a task, a plan or an action, got {sorted(step)}", "bad_step")
    found = _said(step, where, counts)
    seen = _seen(step, where)
    if seen and not found:
        found = [Step("agent")]
    if found:
        found[-1] = replace(found[-1], observations=seen)
    return found


def _said(step: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    """What the model said: its message, else the text of the step; calls only where they stand apart from it."""
    message = turns.object_of(step.get("model_output_message"))
    found = turns.agent_steps(message, f"{where}.model_output_message", counts)
    text = turns.text_of(step.get("model_output"), f"{where}.model_output") or turns.string_of(step.get("plan"))
    if text and message.get("content") is None and not any(one.message for one in found):
        found = [*found[:-1], replace(found[-1], message=text)] if found else [Step("agent", text)]
    if any(one.tool_calls for one in found):
        return found
    calls = [parts.tool_call(call, where) for call in turns.objects_of(step.get("tool_calls"))]
    code = turns.string_of(step.get("code_action"))
    if not calls and code:
        calls = [ToolCall(CODE, code, language="python")]
    texts = [one.message or "" for one in found]
    apart = tuple(call for call in calls if not (call.function_name == CODE and _has(texts, call.arguments)))
    if apart:
        head = found.pop() if found else Step("agent")
        found.append(replace(head, tool_calls=apart))
    return found


def _seen(step: Mapping[str, Any], where: str) -> tuple[Observation, ...]:
    """What came back: the observations, the error, and what the action returned where no observations tell it."""
    texts = [turns.text_of(step.get("observations"), f"{where}.observations")]
    returned = step.get("action_output")
    final = step.get("is_final_answer") is True or not isinstance(step.get("observations"), str)
    if (final or _says_text(returned)) and returned not in (None, "", [], {}) and not _is_shown(returned, texts[0]):
        texts.append(fields.verbatim(returned))
    error = step.get("error")
    told = error.get("message") if isinstance(error, Mapping) else error
    if isinstance(told, str) and told not in texts[0]:
        texts.append(told)
    return tuple(Observation(text) for text in texts if text)


def _says_text(value: Any) -> bool:
    """Whether a value is a text or holds one; a number that the code returned is told by its logs."""
    return isinstance(value, str) or (isinstance(value, Mapping | list) and bool(value))


def _is_shown(returned: Any, text: str) -> bool:
    """Whether observations hold what an action returned: whole, as Python writes it, or its beginning."""
    forms = [fields.verbatim(returned), str(returned)]
    return any(form in text or (len(form) > N_HEAD and form[:N_HEAD] in text) for form in forms)


def _is_told(text: str, steps: list[Step]) -> bool:
    """Whether a step holds a text."""
    written = [one for step in steps for one in (step.message, *(call.arguments for call in step.tool_calls)) if one]
    seen = [result.content for step in steps for result in step.observations]
    return any(text in one for one in (*written, *seen))


def _has(texts: Iterable[str], code: str) -> bool:
    """Whether texts hold a code, whatever white space the harness took off."""
    return "".join(code.split()) in "".join("".join(text.split()) for text in texts)
