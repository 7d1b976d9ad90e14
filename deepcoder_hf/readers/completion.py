"""TRL prompt and completion: `prompt` beside `completion`, each a text or a list of chat messages."""

from __future__ import annotations

from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, flattened, json_texts, messages
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

FIELDS = ("prompt", "completion")
IGNORED = {
    **messages.IGNORED,
    **{f"prompt{path[1:]}": why for path, why in messages.IGNORED.items() if path.startswith("*[]")},
}
"""What is no part of a trajectory (readers/claims.py)."""


def matches(record: Record) -> bool:
    """Both are there, the completion says something, and no messages stand beside them."""
    return (
        all(isinstance(record.get(name), str | list) for name in FIELDS)
        and bool(record["completion"])
        and not any(isinstance(record.get(name), list) for name in messages.LISTS)
    )


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record; a completion that is a list of texts gives a trajectory for each.

    Turns of the assistant in the prompt are context: they are not trained.

    Raises:
        RecordError: The completion is empty (`empty_record`), says nothing (`no_assistant_turn`), or a list of it is
            none of messages; and what readers/messages.py rejects.
    """
    given = record["completion"]
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        texts = [text for text in given if text.strip()]
    else:
        texts = [given] if isinstance(given, str) and given.strip() else []
    if not texts and not (isinstance(given, list) and any(not isinstance(item, str) for item in given)):
        raise RecordError("the field 'completion' is empty; expected what the assistant says", "empty_record")
    if not texts:
        return _of_messages(record, _prompt_messages(record["prompt"]), given)
    found = [_of_text(record, text) for text in texts]
    return found[0] if len(found) == 1 else found


def left_out(record: Record) -> list[tuple[str, str]]:
    """Texts that are read in parts (readers/claims.py), each with the reason."""
    return list(json_texts.read_in_parts(record, FIELDS))


def _of_text(record: Record, text: str) -> Trajectory:
    """Prompt and completion as they follow each other; one text where the prompt has marks of turns."""
    prompt, used = record["prompt"], [*FIELDS]
    if isinstance(prompt, list):
        return _of_messages(record, _prompt_messages(prompt), [{"role": "assistant", "content": text}])
    steps = (
        [] if (system := fields.first_text(record, fields.SYSTEM_FIELDS, used)) is None else [Step("system", system)]
    )
    marked = flattened.TURN.search(prompt) or flattened.TURN.search(text)
    if marked or not prompt.strip():
        steps.append(Step("text", fields.joined((prompt, text))))
    else:
        steps += [Step("user", prompt), Step("agent", text)]
    return _trajectory(record, steps, fields.metadata_of(record, [*used, *fields.TOOL_FIELDS]))


def _of_messages(record: Record, prompt: list[Any], completion: list[Any]) -> Trajectory:
    rest = {name: value for name, value in record.items() if name not in FIELDS}
    whole = messages.read({**rest, "messages": [*prompt, *completion]})
    if not any(isinstance(item, dict) and messages.is_agent(item) for item in completion):
        raise RecordError("expected an assistant turn in 'completion', got other roles only", "no_assistant_turn")
    return _trajectory(record, list(whole.steps), whole.metadata)


def _prompt_messages(prompt: Any) -> list[Any]:
    """The messages of a prompt; what its assistant says is context."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}] if prompt.strip() else []
    return [{**item, "train": False} if isinstance(item, dict) and messages.is_agent(item) else item for item in prompt]


def _trajectory(record: Record, steps: list[Step], metadata: Any) -> Trajectory:
    return Trajectory(
        steps=tuple(steps),
        source_format="completion",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        tools=fields.tools_of(record, []),
        metadata=metadata,
    )
