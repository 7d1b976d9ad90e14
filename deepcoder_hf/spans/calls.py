"""What a call looks like, whatever marks it: JSON that names a tool, `tool(...)`, `tool[...]`, a command line, code."""

from __future__ import annotations

import re

LONG = 1400
"""Characters from which on the end of a call may be out of sight."""
_JSON = re.compile(
    r"\s*\[?\s*\{\s*\"(?:name|tool|tool_name|function|function_name|action|command|commands|recipient_name|type"
    r"|id|tool_call_id|keystrokes|cmd|code|query)\"\s*:"
)
_PAREN = re.compile(r"\s*(?:print\()?[^\W\d][\w.]{0,60}\((\s*\w+\s*[:=])?")
_BRACKET = re.compile(r"\s*\[?[^\W\d][\w. ]{0,30}\[[^\n]{0,600}\]\s*$")
_XML = re.compile(r"\s*<(?:function|invoke|tool|parameter|tool_call|execute)\b")
_SAYS_SO = re.compile(
    r"\s*[\[(<*]{0,2}(?i:calling|call|invoke|invoking|running|executing|execute|run)\b[^\n]{0,40}[\w.]\("
)
_FENCE = re.compile(r"\s*```")
_SHELL = re.compile(
    r"\s*(?:\$ ?|sudo )?(?:cd|ls|cat|grep|rg|find|sed|awk|echo|python3?|pip3?|npm|npx|yarn|node|git|make|cargo|go"
    r"|pytest|curl|wget|mkdir|rm|mv|cp"
    r"|touch|head|tail|wc|sort|chmod|docker|apt|apt-get|bash|sh|export|source|which|ps|kill|tar|unzip|du|df|psql"
    r"|sqlite3|mysql|open|edit|submit"
    r"|goto|scroll_down|scroll_up|search_file|search_dir|find_file|create|str_replace_editor|java|javac|gcc|ruby"
    r"|perl|tree|env|pwd|diff|xargs|jq)(?=\s|$)"
)
_CODE = re.compile(
    r"^\s*(?:import |from \w+ import |print\(|def |for \w+ in |[a-z_]\w* = |SELECT |INSERT |UPDATE |const |let |var )",
    re.MULTILINE,
)
_NAME_THEN_JSON = re.compile(r"\s*[\w.:-]{1,60}\s*\n?[^\n{]{0,40}\{")
_NAME = re.compile(r"\s*[a-z][\w.]{1,40}\s*(?:\n|$)")
_GAME = re.compile(
    r"\s*(?:go to|take|put|open|close|use|look|examine|move|clean|heat|cool|toggle|inventory|click|search|type"
    r"|scroll|press|goto|think|buy)\b[^.\n]{0,80}$"
)


def callness(text: str) -> float:
    """How much a text looks like a call, in [0, 1].

    Args:
        text: The words of a block, or of a paragraph.
    """
    text = text[:2500].lstrip().removeprefix("!").removeprefix("%")
    if not text.strip():
        return 0.2
    if _JSON.match(text) or _XML.match(text):
        return 0.95
    if _BRACKET.match(text) or _SAYS_SO.match(text) or _is_function_call(text):
        return 0.95
    if _SHELL.match(text) or _GAME.match(text):
        return 0.85 if "\n" not in text.strip() or text.count("\n") < 6 else 0.6
    if _FENCE.match(text):
        return 0.75
    if _NAME_THEN_JSON.match(text):
        return 0.8
    if _CODE.search(text):
        return 0.65
    if _NAME.match(text) and len(text) < 60:
        return 0.5
    return 0.04 if text.rstrip()[-1:] in ".!?:。！？" or len(text) > 120 else 0.15


def _is_function_call(text: str) -> bool:
    """Whether a text is one call with parentheses; of a long one its first argument must be named."""
    start = _PAREN.match(text)
    if start is None:
        return False
    return text.rstrip(" \n\t;`]")[-1:] == ")" or (len(text) >= LONG and start.group(1) is not None)
