"""What a message says of its own turn: whether it is trained, why the model stopped, and who speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WEIGHTS = frozenset(("weight", "loss_weight", "loss_scale", "loss", "training", "train", "trainable"))
"""Flags of other tools that take a turn out of the training when they are 0 or false.

OpenAI fine-tuning `weight`, axolotl `training` and `train`, ms-swift `loss` and `loss_scale`, LLaMA-Factory
`loss_weight`.
"""
DETAIL = "train_detail"
"""axolotl's list of character ranges with `train`: where one is false, the whole turn is left out."""
FINISH = ("finish_reason", "stop_reason")
CUT_OFF = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("content_filter", "content_filtered"), "aborted"),
    **dict.fromkeys(("aborted", "abort", "cancelled", "canceled", "interrupted", "incomplete"), "aborted"),
}
"""Reasons that mean that a turn is not whole -> their normal form."""


def is_trained(message: Mapping[str, Any]) -> bool:
    """Whether no flag of the message takes it out of the training."""
    details = message.get(DETAIL)
    if isinstance(details, list) and any(isinstance(part, Mapping) and part.get("train") is False for part in details):
        return False
    return WEIGHTS.isdisjoint(message) or not any(_is_zero(message[name]) for name in WEIGHTS & message.keys())


def undesired(record: Mapping[str, Any], is_answer: bool) -> str | None:
    """The column that says that a record shows what not to do, so that nothing of it is trained.

    Args:
        record: The raw record.
        is_answer: Whether it is an answer to something: `label: false` (TRL, ms-swift) is a verdict only there, while
            `kto_tag: false` (LLaMA-Factory) is one anywhere.
    """
    if record.get("kto_tag") is False:
        return "kto_tag"
    return "label" if is_answer and record.get("label") is False else None


def finish_reason(message: Mapping[str, Any]) -> str | None:
    """Why the model stopped, with `length` and `aborted` as the normal forms of a turn that was cut off."""
    if FINISH[0] not in message and FINISH[1] not in message:
        return None
    found = next((message[name] for name in FINISH if isinstance(message.get(name), str) and message[name]), None)
    return None if found is None else CUT_OFF.get(found.lower(), found)


def name_of(message: Mapping[str, Any]) -> str | None:
    """Name of the participant, or of the tool that answers."""
    name = message.get("name")
    return name if isinstance(name, str) and name else None


def _is_zero(value: Any) -> bool:
    return isinstance(value, bool | int | float) and value == 0
