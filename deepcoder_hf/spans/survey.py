"""Survey: which forms of writing recur in a text. Forms are line labels, headings, tags, control tokens and prompts.

A form is a way to begin a stretch of text: its family (how it is decorated and closed, "**X:**", "[X]", "X>>", "<x>")
and its name ("thought"). conventions.py decides which forms are markers, and of what role. Everything here is linear:
one expression a kind, bounded repeats.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Set
from functools import lru_cache

from deepcoder_hf.spans.forms import Form, Mark
from deepcoder_hf.spans.json_forms import json_marks
from deepcoder_hf.spans.roles import roles_of

MOST_FORMS = 48
"""Forms of a text that are kept: those that recur most, and those whose name is a known word."""

_NAME = rb"[A-Za-z\xc3-\xe1\xe3-\xef][\w\x80-\xff'./=-]{0,30}(?: [A-Za-z\x80-\xff(][\w\x80-\xff'()./=-]{0,20}){0,3}"
_TIME = rb"(?:\[?\d{1,4}[-:/.]\d\d[\d:T. ,/+-]{0,24}Z?\]? ?(?:[|-] ?)?(?:(?:INFO|DEBUG|WARN|LOG)\w{0,4}[:|]? ?)?)"
_EMOJI = rb"(?:\xe2[\x80-\xbf]{2}|\xf0\x9f[\x80-\xbf]{2})(?:\xef\xb8\x8f)?"

LABEL = re.compile(
    rb"\n[ \t]{0,3}("
    + _TIME
    + rb"?(?:[#*>=~+@|_(\[{:<-]|"
    + _EMOJI
    + rb"){0,6} ?)("
    + _NAME
    + rb")(?: ?[#(\[]?\d{1,3}[)\]]?| ?[\[(<][^\])>\n]{1,40}[\])>](?=:))?"
    rb"((?:\*\*|__|[:>=|\])}~#-]){1,6}| :(?=[ \n])|(?=\n)|(?: ?(?:>{2,3}|->|=>|[=*~-]{2,6}|::|#{1,4}|\xe2\x86\x92"
    rb"|\|)))(?=[\s\S])"
)
"""`Thought 1:`, `**Action:**`, `## Reasoning`, `[REASONING]`, `Deed>>`, `=== TOOL CALL ===`, `思考：`"""
_PARTS = (
    "call calls call: use uses invocation request input result results output outputs response responses return"
    " returned error"
)
PARTS_OF_CALLS = frozenset(_PARTS.split())
"""Words after "tool" that are no name of a tool."""
WIDE = (("：", ":  "), *((sign, "[  ") for sign in "【〔＜「［"), *((sign, "]  ") for sign in "】〕＞」］"))
"""Wide signs, and narrow ones of the same length in bytes."""
ENCLOSED = re.compile(
    rb"\n[ \t]{0,3}("
    + _TIME
    + rb"?)([\[(<{|]{1,2}) {0,2}([A-Za-z\x80-\xff][\w\x80-\xff :/.=#|,-]{0,40}?) ?([\])>}|]{1,2}:?)(?=[ \n])"
    rb"(?: ([A-Za-z]\w{1,14}):(?= ))?"
)
"""`[agent:think] `, `(thinking) `, `12:04 <bot> `"""
BARE = re.compile(rb"\n(?:([-=*_~]{3,40})\n\n?|\n)(" + _NAME + rb")(?=\n)")
"""A line of few words below a rule, or below an empty line."""
TAG = re.compile(rb"<(/?)([A-Za-z_][\w.:-]{0,30})([ =][^<>\n]{0,80})?>")
_VALUE = re.compile(rb"=\s*[\"']?([\w-]{1,24})")
TOKEN = re.compile(
    rb"<(?:\||\xef\xbd\x9c)(/?[^<>|\n]{1,40}?)(?:\||\xef\xbd\x9c)>"
    rb"(?:([a-z_]{1,12})(?:(?=\n|:)|<\|(?:end_|im_middle|sep|role_sep|message)[^|>\n]{0,20}\|>|(?=<)))?"
)
PROMPT = re.compile(
    rb"\n[ \t]{0,3}((?:(?=[.@-]{0,8}\w)[\w.@-]{1,30}(?::[~/\w.-]{0,40})?[$#%>]|[$#%>]{1,3}|"
    + _EMOJI
    + rb"|[A-Z][a-z]{1,8} ?\[\d{1,3}\]:|PS [^\n>]{0,40}>"
    rb"|[<>=~-]{1,2}[<>-]|\+{1,2}|\xc2\xbb|\xc2\xab) {1,12})(?=\S)"
)
"""`$ `, `>>> `, `user@host:~$ `, `In [3]: `, `-> `, an emoji"""

_EDGE = re.compile(r"(?i)(?:^|(?<=[\W_▁]))(?:begin|start|end|stop|prefix|suffix|open|close|of)(?=$|[\W_▁])")
_END = re.compile(r"(?i)^/|(?:^|[\W_▁])(?:end|stop|eot|eom|eos|suffix|close|return|done)(?:$|[\W_▁])")
FENCE = re.compile(rb"\n[ \t]{0,3}```([^\n`]{0,60})(?=\n)")
LONGEST_FENCE = 6000
"""Bytes of a fence, if it is one: two fences further apart are hardly a pair."""

HTML = frozenset(
    b"a abbr article aside b blockquote body br button center cite col colgroup dd del details div dl dt em "
    b"fieldset figcaption"
    b" figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img ins kbd label legend li link "
    b"main mark meta"
    b" nav noscript ol option p param picture pre q s samp section select small source span strong style sub svg "
    b"table tbody"
    b" td textarea tfoot th thead title tr tt u ul video path g rect circle line template slot canvas".split()
)


def survey(blob: bytes, start: int, end: int) -> list[Mark]:
    """All occurrences of forms in a text, by place; several may begin at one place.

    Args:
        blob: Text in UTF-8; a newline stands before `start`.
        start: Byte where the text begins.
        end: Byte where it ends.
    """
    text = b"\n" + blob[start - 1 : end + 1]  # so that a first line stands below an empty one
    if not text.isascii():
        for wide, narrow in WIDE:
            text = text.replace(wide.encode(), narrow.encode())
    stop = len(text) - 1
    marks = [
        mark
        for scan in (_labels, _enclosed, _bare, _tags, _tokens, _prompts, json_marks)
        for mark in scan(text, 2, stop)
    ]
    marks += _fences(text, 2, stop)
    marks = _outside_of_fences(marks, text, 2, stop)
    counts = Counter(mark.form for mark in marks)
    kept = {form for form, _ in counts.most_common(MOST_FORMS)}
    shift = start - 2
    found = [
        Mark(m.start + shift, character_end(blob, m.end + shift, end), m.form, m.closes)
        for m in marks
        if m.form in kept
    ]
    found.sort(key=lambda mark: (mark.start, -mark.end))
    return found


def character_end(blob: bytes, position: int, end: int) -> int:
    """The position, or the end of the character that it stands in: a wide colon was read as a narrow one."""
    while position < end and blob[position] & 0xC0 == 0x80:
        position += 1
    return position


def unknown_tokens(blob: bytes, start: int, end: int, known: Set[int]) -> bool:
    """Whether a text has control tokens that begin elsewhere than known markers."""
    return any(match.start() not in known for match in TOKEN.finditer(blob, start, end))


def _outside_of_fences(marks: list[Mark], blob: bytes, start: int, end: int) -> list[Mark]:
    """Leave out what stands within a code fence: code is opaque."""
    fences: list[tuple[int, int]] = []
    opened = None
    for fence in FENCE.finditer(blob, start - 1, end + 1):
        if opened is None or fence.group(1) or fence.start() - opened > LONGEST_FENCE:
            opened = fence.end()
        else:
            fences.append((opened, fence.start()))
            opened = None
    if not fences:
        return marks
    starts = [first for first, _ in fences]
    kept = []
    for mark in marks:
        if mark.form.kind in ("json", "fence"):
            kept.append(mark)
            continue
        at = bisect_right(starts, mark.start) - 1
        if at < 0 or mark.start >= fences[at][1]:
            kept.append(mark)
    return kept


def _fences(blob: bytes, start: int, end: int) -> list[Mark]:
    """Opening fences of code."""
    form, opened = Form("fence", "fence", "```"), False
    marks = []
    for fence in FENCE.finditer(blob, start - 1, end + 1):
        opened = not opened or bool(fence.group(1))
        marks.append(Mark(fence.start() + 1, fence.end(), form, closes=not opened))
    return marks


def _labels(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    for match in LABEL.finditer(blob, start - 1, end):
        before, name, after = match.groups()
        if b"<" in before or (before[-1:] in (b"[", b"(", b"{") and after[:1] in b"])}"):
            continue  # `_enclosed` reads these
        if not before.strip() and (after == b"" or after[:1] in b"-=|)}~#]"):
            continue  # a bare word, or a list
        if not before.strip() and name.count(b" ") > 2:
            continue
        yield Mark(match.start(1), match.end(), Form("label", _family(before, after), name_of(name)))


@lru_cache(maxsize=8192)
def name_of(name: bytes) -> str:
    """A name in lower case, without numbers; of "assistant to=search" whether that is itself, the user, or a tool."""
    text = re.sub(r"\s*[#(\[]?\d+[)\]]?$", "", name.decode("utf-8", "replace").strip(" -./:")).lower()
    head, to, whom = text.partition(" to=")
    if to:
        return f"{head} to=" + (whom if whom in ("self", "user", "assistant") else "tool")
    first, _, rest = text.partition(" ")
    return first if first in ("tool", "function") and rest and not PARTS_OF_CALLS & set(rest.split()) else text


def _enclosed(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    for match in ENCLOSED.finditer(blob, start - 1, end):
        _, before, name, after, inner = match.groups()
        if before == b"<|":
            continue  # a control token
        if before == b"<" and (
            after != b">" or blob.find(b"</" + re.split(rb"[ =]", name)[0], match.end(), match.end() + 20_000) >= 0
        ):
            continue  # a tag
        if inner and roles_of(inner.decode()):  # [agent] thought: ...
            yield Mark(
                match.start(1),
                match.end(),
                Form("label", f"{before.decode()}X{after.decode()} ", f"{name_of(name)} {inner.decode().lower()}"),
            )
        else:
            stop = match.start(5) - 1 if inner else match.end()
            yield Mark(match.start(1), stop, Form("label", f"{before.decode()}X{after.decode()} ", name_of(name)))


def _bare(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    for match in BARE.finditer(blob, start - 2, end):
        rule = (match.group(1) or b"").decode()[:1]
        name = name_of(match.group(2))
        if rule or roles_of(name):
            yield Mark(match.start(1) if rule else match.start(2), match.end(), Form("label", f"{rule}/X", name))


def _family(before: bytes, after: bytes) -> str:
    """The family of a label; a heading may have a colon or not."""
    opening, closing = _sign(before), _sign(after)
    return f"{opening}X{'' if opening == '#' and closing == ':' else closing}"


@lru_cache(maxsize=1024)
def _sign(decoration: bytes) -> str:
    """A decoration, with one sign for all emoji, all depths of headings and both widths of colons."""
    sign = re.sub(_EMOJI, b"\xf0\x9f\x99\x82", re.sub(rb"^" + _TIME, b"", decoration).strip()).decode(
        "utf-8", "replace"
    )
    return re.sub(r"([#=>~-])\1+", r"\1", sign)


def _tags(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    opened: dict[bytes, list[Form]] = {}
    for match in TAG.finditer(blob, start, end):
        slash, name, attributes = match.groups()
        if name.lower() in HTML:
            continue
        if slash:
            forms = opened.get(name)
            form = forms.pop() if forms else Form("tag", "<X>", name.decode().lower())
        else:
            form = Form("tag", "<X>", _tag_name(name, attributes))
            opened.setdefault(name, []).append(form)
        yield Mark(match.start(), match.end(), form, bool(slash))


def _tag_name(name: bytes, attributes: bytes | None) -> str:
    """The name of a tag, with those values of its attributes that tell a role: `<message kind="thought">`."""
    text = name.decode().lower()
    if not attributes or not attributes.startswith(b" ") or b"=" not in attributes or roles_of(text):
        return text
    values = [value.decode("utf-8", "replace").lower() for value in _VALUE.findall(attributes)]
    return " ".join([text, *(value for value in values if roles_of(value))]) if any(map(roles_of, values)) else text


def _tokens(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    for match in TOKEN.finditer(blob, start, end):
        name = match.group(1).decode("utf-8", "replace")
        base = _EDGE.sub(" ", name).strip(" _▁/")
        role = (match.group(2) or b"").decode()
        form = Form("token", "<|X|>", f"{base} {role}".strip().lower())
        yield Mark(match.start(), match.end(), form, closes=_END.search(name) is not None)


def _prompts(blob: bytes, start: int, end: int) -> Iterator[Mark]:
    for match in PROMPT.finditer(blob, start - 1, end):
        sign = re.sub(rb"\d+", b"N", match.group(1)).decode("utf-8", "replace").strip()
        if sign.endswith("[N]:"):
            sign = sign[:-4].strip().lower() + "[]"
        if sign[-1:] in "$#%>" and len(sign) > 3:
            sign = "X" + sign[-1]  # the folder in a prompt changes
        if sign.strip("#") == "" or (sign == ">>>" and blob[match.end() : match.end() + 1] == b"#"):
            sign = "#"
        family = "glyph" if ord(sign[0]) > 0x2000 or sign[0] in "<-=~»«" else "prompt"
        yield Mark(match.start(1), match.end(), Form("prompt", family, sign.removesuffix("\ufe0f")))
