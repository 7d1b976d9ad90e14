"""Screen episodes: a `goal`, a list of `actions`, and the `accessibility_trees` that were seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

NAME = "action_type"
ID_FIELDS = (*fields.ID_FIELDS, "episode_id")
LISTS = ("actions", "accessibility_trees", "step_instructions", "screenshots")


def matches(record: Record) -> bool:
    """Actions and accessibility trees, both lists."""
    return isinstance(record.get("actions"), list) and isinstance(record.get("accessibility_trees"), list)


def read(record: Record) -> Trajectory:
    """Read one episode: what is seen before an action stands before it, as a result that answers no call.

    An instruction of a step is the reasoning of its action; files of screenshots are named in the metadata.

    Raises:
        RecordError: There are no actions (`no_assistant_turn`), or one is no object (`bad_step`).
    """
    actions, trees = record["actions"], record["accessibility_trees"]
    if not actions:
        raise RecordError("the list 'actions' is empty; expected at least one action", "no_assistant_turn")
    told = record.get("step_instructions")
    told = told if isinstance(told, list) else []
    used = [*LISTS[:3], "episode_id"]
    steps = [Step("user", task)] if (task := fields.first_text(record, fields.TASK_FIELDS, used)) else []
    for number in range(max(len(actions), len(trees), len(told))):
        if number < len(trees) and trees[number]:
            steps.append(Step("tool", fields.verbatim(trees[number])))
        if number < max(len(actions), len(told)):
            steps.append(_step(_at(actions, number), _at(told, number), f"action {number}"))
    return Trajectory(
        steps=tuple(steps),
        source_format="screens",
        trajectory_id=fields.identifier(record, ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=_facts(record, used),
    )


def _facts(record: Record, used: list[str]) -> dict[str, Any]:
    images = record.get("screenshots")
    known = isinstance(images, list) and all(isinstance(image, str) for image in images)
    facts = fields.metadata_of(record, [*used, "screenshots"] if known else used)
    return {**facts, "images": list(images)} if known and images else facts


def _at(items: list[Any], number: int) -> Any:
    return items[number] if number < len(items) else None


def _step(action: Any, told: Any, where: str) -> Step:
    if not isinstance(action, Mapping) or not isinstance(told, str | None):
        kinds = f"{type(action).__name__} and {type(told).__name__}"
        raise RecordError(f"{where}: expected an object and, perhaps, its instruction, got {kinds}", "bad_step")
    name = action.get(NAME)
    function = name if isinstance(name, str) else ""
    arguments = {key: value for key, value in action.items() if key != NAME or not function}
    return Step("agent", None, told or None, (ToolCall(function, fields.verbatim(arguments)),))
