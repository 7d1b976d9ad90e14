"""Puts generated sections into a README that people write in too: what was not generated stays, wherever it stands.

A section stands between two comment lines. A line at the end of the page keeps a digest of every paragraph that was
generated, so generated text is known by itself: a marker may be moved or deleted, a paragraph added or changed inside a
section, and only paragraphs that stand there as they were generated are replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_MARKER = re.compile(r"<!-- deepcoder-hf (begin|end) (\S+) -->")
_INDEX = re.compile(r"<!-- deepcoder-hf generated (.*) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph with the blank lines after it: a heading goes with what it heads, a fence stays whole."""

    text: str
    key: str = ""
    """Section of a marker."""
    kind: str = ""
    """`begin`, `end`, `index`, or empty for text."""
    fence: str = ""
    """The fence that the block opens and does not close: it would take what comes after it into its code."""

    @property
    def digest(self) -> str:
        """Digest of the text without trailing white space, 10 hex digits: an editor may change line ends."""
        lines = "\n".join(line.rstrip() for line in self.text.strip("\r\n").rstrip().split("\n"))
        return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def merge(body: str, sections: Mapping[str, str], others: Collection[str] = ()) -> str:
    """Put sections into a body.

    Args:
        body: The Markdown that stands there now, without metadata; empty for a new page.
        sections: Text of each section by its key, in the order in which new ones are added. A section that stands in
            the body is replaced there; any other is put after the one before it, or at the end.
        others: Keys of generated sections that stay as they are, such as those of another config; any further
            section of an earlier card is taken out.

    Returns:
        The new body; every paragraph of the old one that was not generated is in it. A fence that was left open is
        closed: as it stood, all that comes after it would be its code.
    """
    blocks = list(split_blocks(body))
    known = _known(blocks)
    parts = _walk(blocks, sections, others, known)
    previous = ""
    for key, text in sections.items():
        if not any(name == key for name, _ in parts):
            parts.insert(_place(parts, previous, sections), (key, _section(key, text)))
        previous = key
    kept = {key: digests for key, digests in known.items() if key in others and any(k == key for k, _ in parts)}
    new = {key: [block.digest for block in split_blocks(text)] for key, text in sections.items()}
    index = " ".join(f"{key}={','.join(digests)}" for key, digests in sorted({**kept, **new}.items()))
    return _joined([*(text for _, text in parts), f"<!-- deepcoder-hf generated {index} -->\n"])


def split_blocks(body: str) -> Iterator[Block]:
    """The blocks of a body, whose texts together are the body."""
    lines = [f"{line}\n" for line in body.split("\n")]
    lines[-1] = lines[-1][:-1]
    at = 0
    while at < len(lines):
        end, fence = _end_of(lines, at)
        while end < len(lines) and not lines[end].strip():
            end += 1
        text = "".join(lines[at:end])
        if text:
            yield _block(text, fence)
        at = end


def _end_of(lines: list[str], start: int) -> tuple[int, str]:
    """The line after the block that begins at a line, blank lines after it not counted, and a fence left open."""
    at, headed = start, False
    while at < len(lines):
        line = lines[at]
        if _is_marker(line):
            return (at if at > start else at + 1), ""
        if _HEADING.match(line):
            if at > start:
                return at, ""
            headed = True
        elif not line.strip():
            following = next((n for n in range(at, len(lines)) if lines[n].strip()), len(lines))
            alone = not headed or following == len(lines) or _HEADING.match(lines[following])
            if at > start and (alone or _is_marker(lines[following])):
                return at, ""
            at, headed = following, False
            continue
        elif fence := _FENCE.match(line):
            at, closed = _closing(lines, at, fence[1])
            if not closed:
                return at, fence[1]
            continue
        at += 1
    return at, ""


def _closing(lines: list[str], start: int, fence: str) -> tuple[int, bool]:
    """The line after the one that closes a fence; where none does, the next marker or the end of the page."""
    closing = re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*")
    following = range(start + 1, len(lines))
    found = next((n for n in following if closing.fullmatch(lines[n])), None)
    if found is not None:
        return found + 1, True
    return next((n for n in following if _is_marker(lines[n])), len(lines)), False


def _is_marker(line: str) -> bool:
    return bool(_MARKER.fullmatch(line.strip()) or _INDEX.fullmatch(line.strip()))


def _block(text: str, fence: str) -> Block:
    line = text.strip()
    if marker := _MARKER.fullmatch(line):
        return Block(text, marker[2], marker[1])
    if index := _INDEX.fullmatch(line):
        return Block(text, index[1], "index")
    return Block(text, fence=fence)


def _known(blocks: list[Block]) -> dict[str, list[str]]:
    """Digests of generated blocks by section; where the index was deleted, all that stands between two markers."""
    index = [block.key for block in blocks if block.kind == "index"]
    if index:
        entries = [entry.partition("=") for line in index for entry in line.split()]
        return {key: digests.split(",") for key, _, digests in entries}
    known: dict[str, list[str]] = {}
    for n, block in enumerate(blocks):
        following = next((m for m in range(n + 1, len(blocks)) if blocks[m].kind), None)
        if (
            block.kind == "begin"
            and following
            and (blocks[following].kind, blocks[following].key) == ("end", block.key)
        ):
            known.setdefault(block.key, []).extend(b.digest for b in blocks[n + 1 : following])
    return known


def _walk(
    blocks: list[Block], sections: Mapping[str, str], others: Collection[str], known: Mapping[str, list[str]]
) -> list[tuple[str, str]]:
    """The parts of the new body: (key of a section, or empty, text). Generated text that is not in `others` goes."""
    generated = {digest for key, digests in known.items() if key not in others for digest in digests}
    parts: list[tuple[str, str]] = []
    inside = ""
    for block in blocks:
        if block.kind == "index":
            continue
        if block.kind:
            inside = block.key if block.kind == "begin" else ""
            if block.kind == "begin" and block.key in sections and all(key != block.key for key, _ in parts):
                parts.append((block.key, _section(block.key, sections[block.key])))
            elif block.key in others:
                parts.append((block.key, block.text))
        elif block.digest not in generated or block.digest in known.get(inside if inside in others else "", ()):
            parts.append(("", block.text + (f"\n{block.fence}\n" if block.fence else "")))
    return parts


def _place(parts: list[tuple[str, str]], previous: str, sections: Mapping[str, str]) -> int:
    """Where a section goes that the body does not have: after the one before it, else before the first one."""
    if previous:
        return next(n for n, (key, _) in enumerate(parts) if key == previous) + 1
    return next((n for n, (key, _) in enumerate(parts) if key in sections), len(parts))


def _section(key: str, text: str) -> str:
    return f"<!-- deepcoder-hf begin {key} -->\n\n{text.strip()}\n\n<!-- deepcoder-hf end {key} -->\n"


def _joined(texts: list[str]) -> str:
    """The texts one after the other with a blank line between them where one is missing; nothing else changes."""
    body = ""
    for text in texts:
        if body and not body.endswith("\n"):
            body += "\n"
        if body and not body.endswith("\n\n") and not body.endswith("\n\r\n"):
            body += "\n"
        body += text
    return body if body.endswith("\n") or not body else body + "\n"
