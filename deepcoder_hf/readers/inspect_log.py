"""Inspect log: a sample with epoch, messages, output and target, or a whole log with eval and `samples`.

The messages of a sample are its conversation. Calls of models in its events whose answers are not among them (agents
that ran beside it, graders, refused attempts) are trajectories of their own; those of graders are not trained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.inspect_events import choices_of, key_of, references, resolved, side_conversations, told
from deepcoder_hf.trajectory import Trajectory

SAMPLE_MARKS = frozenset(("target", "scores", "events", "output", "model_usage", "attachments"))
_MESSAGE = {
    "source": "structure, not text",
    "model": "name of the model",
    "metadata": "notes of the harness",
    "error.type": "structure, not text",
    "content[].internal": "opaque data of the provider",
    "content[].signature": "opaque data of the provider",
    "content[].citations": "sources that the provider notes",
    "content[].tool_type": "structure, not text",
    "content[].context": "name of a server",
    "tool_calls[].view": "how the user interface shows the call",
    "tool_calls[].internal": "opaque data of the provider",
    "tool_calls[].parse_error": "an error of the harness's parser; the arguments that it names are read",
    "internal": "opaque data of the provider",
}
_SAMPLE = {
    "events": "the course of the run; its calls of models are read",
    "events_data": "messages that the events share",
    "timelines": "the course of the run",
    "attachments": "texts that messages and events refer to; they are read where they are referred to",
    "scores": "how the answer was scored",
    "store": "state of the run",
    "metadata": "facts of the task",
    "target": "a label of the task",
    "choices": "the answers to choose from, which the prompt tells",
    "input": "the task, which the messages tell",
    "output.model": "name of the model",
    "output.completion": "again: the last message",
    "output.choices[].stop_reason": "why the model stopped",
    "output.error": "an error of the run",
    "error": "an error of the run",
    "error_retries": "errors of earlier tries",
    "setup": "a script of the task",
    "files": "files of the task",
    "sandbox": "a setting of the run",
    "limit": "a limit of the run",
    "invalidation": "a note on the log",
    "started_at": "a time",
    "completed_at": "a time",
    **{
        f"{message}.{key}": why
        for message in ("messages[]", "output.choices[].message")
        for key, why in _MESSAGE.items()
    },
}
IGNORED = {
    **{f"samples[].{name}": reason for name, reason in _SAMPLE.items()},
    **{(name if "." in name or "[" in name else f"{name}*"): reason for name, reason in _SAMPLE.items()},
    **{f"{name}*": "what the log says of the whole evaluation" for name in ("eval", "plan", "results", "stats")},
    **{f"{name}*": "what the log says of the whole evaluation" for name in ("reductions", "tags", "log_updates")},
    "location*": "where the log was",
}


def matches(record: Record) -> bool:
    """Samples beside eval and status, or one of them: epoch and messages with target, scores, events or output."""
    if isinstance(record.get("samples"), list):
        return isinstance(record.get("eval"), Mapping) and ("status" in record or "plan" in record)
    return "epoch" in record and isinstance(record.get("messages"), list) and not SAMPLE_MARKS.isdisjoint(record)


def read(record: Record) -> list[Trajectory]:
    """Read one record.

    Raises:
        RecordError: No turn of the agent (`no_assistant_turn`), or what `turns.steps_of` refuses; for a whole log only
            where no sample of it can be read.
    """
    run = turns.object_of(record.get("eval"))
    if not isinstance(record.get("samples"), list):
        return _sample(record, run)
    found: list[Trajectory] = []
    refused: list[RecordError] = []
    for sample in turns.objects_of(record["samples"]):
        try:
            found += _sample(sample, run)
        except RecordError as error:
            refused.append(error)
    if not found:
        if refused:
            raise refused[0]
        raise RecordError("expected samples in the log, got none; drop the record", "no_assistant_turn")
    if refused:
        reasons = dict(sorted(Counter(error.reason for error in refused).items()))
        found[0] = replace(found[0], metadata={**found[0].metadata, "refused_samples": reasons})
    return found


def left_out(record: Record) -> list[tuple[Any, str]]:
    """References to attachments, whose texts are read in their place."""
    samples = turns.objects_of(record["samples"]) if isinstance(record.get("samples"), list) else [record]
    read_in = [part for s in samples for part in (s.get("messages"), turns.object_of(s.get("output")).get("choices"))]
    found: list[tuple[Any, str]] = [
        (text, "a reference to a text that is read") for p in read_in for text in references(p)
    ]
    for sample in samples:
        known = {key for message in turns.objects_of(sample.get("messages")) if (key := key_of(message)) is not None}
        said = [choice.get("message") for choice in choices_of(sample)]
        found += [(message, "again: the last message") for message in said if key_of(message) in known]
        messages = [*turns.objects_of(sample.get("messages")), *turns.objects_of(said)]
        parts = [part for message in messages for part in turns.objects_of(message.get("content"))]
        found += [
            (p.get("reasoning"), "reasoning that the provider redacted") for p in parts if p.get("redacted") is True
        ]
    return found


def _sample(sample: Record, run: Mapping[str, Any]) -> list[Trajectory]:
    counts: dict[str, Any] = {}
    whole = resolved(sample)
    messages = whole.get("messages")
    if not isinstance(messages, list):
        raise RecordError(f"messages: expected a list, got {type(messages).__name__}", "empty_messages")
    choices = choices_of(whole)
    first = choices[0].get("message") if choices else None
    if key_of(first) is not None and key_of(first) not in {key_of(message) for message in messages}:
        messages = [*messages, first]
    steps = told(messages, "messages", counts)
    spoken = next((n for n in reversed(range(len(steps))) if steps[n].source == "agent"), None)
    choice = choices[0] if choices else {}
    if spoken is not None and isinstance(choice.get("stop_reason"), str):
        reason = {"max_tokens": "length", "model_length": "length"}.get(choice["stop_reason"], choice["stop_reason"])
        steps[spoken] = replace(steps[spoken], finish_reason=reason)
    sides, tools = side_conversations(whole, messages)
    seen = {key for message in messages if (key := key_of(message)) is not None}
    base = Trajectory(
        steps=tuple(steps),
        source_format="inspect_log",
        trajectory_id=fields.identifier(sample, ("uuid",)),
        group_id=fields.identifier(sample, ("id",)),
        metadata=_facts(sample, run, counts),
        tools=turns.definitions(tools),
    )
    found: list[Trajectory] = []
    for side in sides:
        steps = told(side.messages, "events[].input", {}, known=None if side.role == "grader" else seen)
        seen |= {key for message in side.messages if (key := key_of(message)) is not None}
        facts = {"kind": "side_chain", **({"role": side.role} if side.role else {})}
        one = replace(base, steps=tuple(steps), metadata=facts, trajectory_id=None, parent_id=base.trajectory_id)
        found.append(replace(one, tools=turns.definitions(side.tools)))
    if spoken is not None or not found:
        turns.require_agent(base.steps)
        found.insert(0, base)
    turns.require_agent([step for one in found for step in one.steps])
    return found


def _facts(sample: Record, run: Mapping[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    model = turns.object_of(sample.get("output")).get("model") or run.get("model")
    for name, value in (("model", model), ("task", run.get("task"))):
        if isinstance(value, str) and value:
            facts[name] = value
    scores = {
        name: score["value"]
        for name, score in turns.object_of(sample.get("scores")).items()
        if isinstance(score, Mapping) and isinstance(score.get("value"), str | int | float | bool)
    }
    if scores:
        facts["scores"] = scores
    if isinstance(sample.get("epoch"), int):
        facts["epoch"] = sample["epoch"]
    return {**facts, **counts}
