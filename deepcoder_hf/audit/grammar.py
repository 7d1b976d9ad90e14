"""How turns are written: which control tokens open and close them, by model family."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a marker does."""

    OPEN = 1
    STOP = 2
    THINK_OPEN = 3
    THINK_CLOSE = 4
    CALL_OPEN = 5
    CALL_CLOSE = 6
    RESULT_OPEN = 7
    RESULT_CLOSE = 8


class Role(IntEnum):
    """Who speaks in a turn."""

    UNKNOWN = 0
    SYSTEM = 1
    USER = 2
    ASSISTANT = 3
    TOOL = 4


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a family of models writes turns.

    Args:
        name: Name of the family.
        source: Where this came from, in words.
        needs: Added tokens that a tokenizer of the family has.
        frame: Text before and after a role's name in the header of a turn, or None.
        openers: Headers that stand for a role by themselves: (text, role).
        stops: Tokens that end a turn.
        before: Role of what stands before the first header.
        channels: Whether a header names a channel and the model writes headers itself (harmony).
    """

    name: str
    needs: tuple[str, ...] = ()
    frame: tuple[str, str] | None = None
    openers: tuple[tuple[str, Role], ...] = ()
    stops: tuple[str, ...] = ()
    before: Role = Role.UNKNOWN
    channels: bool = False
    source: str = "built-in table"


_ROLES = {
    Role.SYSTEM: ("system", "developer", "system_prompt", "context", "available_tools"),
    Role.USER: ("user", "human", "prompter"),
    Role.ASSISTANT: ("assistant", "model", "gpt", "chatbot", "ai", "bot", "agent"),
    Role.TOOL: (
        "tool",
        "ipython",
        "function",
        "observation",
        "environment",
        "tool_response",
        "functions",
        "tool_result",
    ),
}
ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}
_WORD = re.compile(r"[A-Za-z_]+")


def role_named(text: str) -> Role:
    """The role that a header names: `assistant`, `functions.search to=assistant`, `<|USER_TOKEN|>`."""
    word = _WORD.search(text)
    return ROLE_OF.get(word[0].lower().removesuffix("_token"), Role.UNKNOWN) if word else Role.UNKNOWN


FAMILIES = (
    Grammar(
        "harmony",
        ("<|start|>", "<|message|>", "<|channel|>"),
        ("<|start|>", "<|message|>"),
        stops=("<|end|>", "<|return|>", "<|call|>"),
        channels=True,
    ),
    Grammar("chatml", ("<|im_start|>", "<|im_end|>"), ("<|im_start|>", "\n"), stops=("<|im_end|>",)),
    Grammar(
        "llama-3",
        ("<|start_header_id|>", "<|end_header_id|>"),
        ("<|start_header_id|>", "<|end_header_id|>\n\n"),
        stops=("<|eot_id|>", "<|eom_id|>"),
    ),
    Grammar(
        "llama-4",
        ("<|header_start|>", "<|header_end|>"),
        ("<|header_start|>", "<|header_end|>\n\n"),
        stops=("<|eot|>", "<|eom|>"),
    ),
    Grammar("gemma", ("<start_of_turn>", "<end_of_turn>"), ("<start_of_turn>", "\n"), stops=("<end_of_turn>",)),
    Grammar("gemma-4", ("<|turn>", "<turn|>"), ("<|turn>", "\n"), stops=("<turn|>",)),
    Grammar(
        "granite",
        ("<|start_of_role|>", "<|end_of_role|>"),
        ("<|start_of_role|>", "<|end_of_role|>"),
        stops=("<|end_of_text|>",),
    ),
    Grammar(
        "cohere",
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        ("<|START_OF_TURN_TOKEN|><|", "_TOKEN|>"),
        stops=("<|END_OF_TURN_TOKEN|>",),
    ),
    Grammar(
        "deepseek",
        ("<｜User｜>", "<｜Assistant｜>"),
        openers=(
            ("<｜User｜>", Role.USER),
            ("<｜Assistant｜>", Role.ASSISTANT),
            ("<｜tool▁outputs▁begin｜>", Role.TOOL),
            ("<｜tool▁outputs▁end｜>", Role.ASSISTANT),
            ("<｜tool▁output▁begin｜>", Role.TOOL),
            ("<｜tool▁output▁end｜>", Role.ASSISTANT),
        ),
        stops=("<｜end▁of▁sentence｜>",),
        before=Role.SYSTEM,
    ),
    Grammar(
        "glm",
        ("<|user|>", "<|assistant|>", "<|observation|>"),
        openers=(
            ("<|user|>\n", Role.USER),
            ("<|assistant|>\n", Role.ASSISTANT),
            ("<|system|>\n", Role.SYSTEM),
            ("<|observation|>\n", Role.TOOL),
        ),
    ),
    Grammar(
        "phi",
        ("<|user|>", "<|assistant|>", "<|end|>"),
        openers=(
            ("<|user|>\n", Role.USER),
            ("<|assistant|>\n", Role.ASSISTANT),
            ("<|system|>\n", Role.SYSTEM),
            ("<|tool|>\n", Role.TOOL),
        ),
        stops=("<|end|>",),
    ),
    Grammar(
        "mistral",
        ("[INST]", "[/INST]"),
        openers=(
            ("[INST]", Role.USER),
            ("[/INST]", Role.ASSISTANT),
            ("[SYSTEM_PROMPT]", Role.SYSTEM),
            ("[AVAILABLE_TOOLS]", Role.SYSTEM),
            ("[TOOL_RESULTS]", Role.TOOL),
            ("[/TOOL_RESULTS]", Role.ASSISTANT),
        ),
        stops=("</s>",),
    ),
)
"""Families by what their added tokens are; the first whose `needs` are all there is taken."""

THINK_PAIRS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<thinking>", "</thinking>"),
)
CALL_PAIRS = (
    ("<tool_call>", "</tool_call>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<|START_ACTION|>", "<|END_ACTION|>"),
    ("<|tool_call_start|>", "<|tool_call_end|>"),
    ("<|tool_call>", "<tool_call|>"),
    ("<start_function_call>", "<end_function_call>"),
    ("<minimax:tool_call>", "</minimax:tool_call>"),
    ("<seed:tool_call>", "</seed:tool_call>"),
    ("<function_calls>", "</function_calls>"),
    ("<function=", "</function>"),
    ("[TOOL_CALLS]", ""),
    ("<|python_tag|>", ""),
)
"""Calls: opener and closer; without a closer the call lasts to the end of the turn."""
RESULT_PAIRS = (("<tool_response>", "</tool_response>"), ("<|tool_response>", "<tool_response|>"))
"""Wrappers of tool results inside user turns."""
