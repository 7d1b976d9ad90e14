"""Groq's `executed_tools` of a chat message -> content parts: tools that the provider ran while the model was thinking.

The reasoning of such a message holds, as text, what the model wrote to call a tool and what the tool gave; each call
and result is cut out of it and stands between the pieces of reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deepcoder_hf.readers import fields
from deepcoder_hf.readers.taken import LONG

RESULTS = ("output", "code_results", "browser_results", "search_results")
"""Fields with the result of a tool; those after the first that holds something tell the same once more."""
_BEFORE = re.compile(r"(?:<tool>(?:(?!<tool>).){0,20000}</tool>\s*)?<output>\s*\Z", re.DOTALL)
"""What stands before a result: `<tool>\nsearch(weather)\n</tool>\n<output>`."""
_AFTER = re.compile(r"\s*</output>")


def with_parts(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose tools, reasoning and text are a list of content parts; the same if no tool was run."""
    tools = message.get("executed_tools")
    if not isinstance(tools, list) or not any(isinstance(tool, Mapping) for tool in tools):
        return dict(message)
    reasoning = message.get("reasoning")
    rest = reasoning if isinstance(reasoning, str) else ""
    parts: list[dict[str, Any]] = []
    for tool in tools:
        if not isinstance(tool, Mapping):
            continue
        result = result_of(tool)
        before, rest = _cut(rest, result)
        parts += [{"type": "thinking", "thinking": before}] if before.strip() else []
        name = tool.get("name") or tool.get("type") or "tool"
        parts.append({"type": "tool_use", "name": fields.verbatim(name), "input": _given(tool)})
        parts += [{"type": "tool_result", "content": result}] if result else []
    parts += [{"type": "thinking", "thinking": rest}] if rest.strip() else []
    content = message.get("content")
    parts += [{"type": "text", "text": content}] if isinstance(content, str) and content else []
    taken = ("executed_tools", "reasoning", "content") if isinstance(reasoning, str) else ("executed_tools", "content")
    return {**{key: value for key, value in message.items() if key not in taken}, "content": parts}


def _given(tool: Mapping[str, Any]) -> Any:
    """The arguments of a tool, as they are."""
    arguments = tool.get("arguments")
    return "" if arguments is None else arguments


def result_of(tool: Mapping[str, Any]) -> str:
    """What a tool gave, as text; JSON where it is an object."""
    given = next((tool[name] for name in RESULTS if tool.get(name) not in (None, "", [], {})), "")
    return "" if given == {"results": []} else fields.verbatim(given)


def _found(reasoning: str, result: str) -> int:
    """Where a result stands: between its marks, after the first of them, or else where no other text can be meant."""
    text = re.escape(result)
    own_line = r"" if len(result) >= LONG else r"^[ \t]*"
    end = r"" if len(result) >= LONG else r"[ \t]*$"
    for before, after in ((r"<output>\s*", r"\s*</output>"), (r"<output>\s*", end), (own_line, end)):
        if match := re.search(f"{before}({text}){after}", reasoning, re.MULTILINE):
            return match.start(1)
    return -1


def _cut(reasoning: str, result: str) -> tuple[str, str]:
    """The reasoning before and after a result that stands in it; all of it is after where the result is not there."""
    at = _found(reasoning, result) if result.strip() else -1
    if at < 0:
        return "", reasoning
    opened = _BEFORE.search(reasoning, max(0, at - 25_000), at)
    after = at + len(result)
    closing = _AFTER.match(reasoning, after)
    return reasoning[: opened.start() if opened else at], reasoning[closing.end() if closing else after :]
