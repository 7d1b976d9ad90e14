"""Lookahead: where the next marker of a kind stands; each question costs the logarithm of the number of markers."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.library import WEAK, Key, Library
from deepcoder_hf.spans.scan import Hit

_SPACE = re.compile(rb"\s*")
_CALL = re.compile(
    rb"\s*\[?\s*\{\s*\"(?:name|tool|tool_name|function|function_name|action|recipient_name)\"\s*:\s*\"[^\"\n]{1,80}\"\s*,\s*"
    rb"\"(?:arguments|parameters|args|kwargs|params|input|tool_input|action_input)\"\s*:"
)
_NO_CODE = re.compile(rb"```(?:text|txt|plain|plaintext|output|log|diff|csv|html|xml|yaml|yml|toml|ini|markdown|md)\b")
_GLUE = re.compile(rb"[ \t\r.]*")
NEWLINE = 10
INDENT = 12
"""Most bytes of indentation before a marker that still begins its line."""


class Lookahead:
    """The markers of one text, and the whitespace around them.

    Args:
        blob: The joined batch.
        hits: Markers of this text, sorted.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        library: The patterns behind the markers.
        turns: Whether turn markers count: not where the role of the text is known.
    """

    def __init__(self, blob: bytes, hits: Sequence[Hit], start: int, end: int, library: Library, turns: bool) -> None:
        self.blob, self.hits, self.start, self.end, self.library, self.turns = blob, hits, start, end, library, turns
        self.at = 0
        """Index of the marker that the machine acts on."""
        self._index: dict[Key, list[Hit]] | None = None

    def next(self, key: Key, position: int) -> Hit | None:
        """The first marker of a kind (see Marker.keys) at or after a position."""
        if self._index is None:
            self._index = self._build()
        hits = self._index.get(key)
        if not hits:
            return None
        at = bisect_left(hits, (position,))
        return hits[at] if at < len(hits) else None

    def _build(self) -> dict[Key, list[Hit]]:
        index: dict[Key, list[Hit]] = defaultdict(list)
        for hit in self.hits:
            for key in self.library.markers[hit[2]].keys:
                index[key].append(hit)
        if not self.turns:
            index.pop("turn", None)
            index.pop("any_turn", None)
        return index

    def skip_space(self, position: int) -> int:
        """The first byte at or after a position that is not whitespace."""
        if position < self.end and self.blob[position] > 32:
            return position
        match = _SPACE.match(self.blob, position, self.end)
        return match.end() if match else position

    def line_initial(self, position: int) -> bool:
        """Whether only indentation stands before a position in its line."""
        before = self.blob[max(position - INDENT, self.start - 1) : position].rstrip(b" \t{")
        return before.endswith(b"\n")

    def ends_line(self, position: int) -> bool:
        """Whether only spaces, or another marker, stand between a position and its line's end."""
        match = _GLUE.match(self.blob, position, self.end)
        stop = match.end() if match else position
        at = bisect_left(self.hits, (position,))
        before_marker = at < len(self.hits) and self.hits[at][0] <= stop
        return stop >= self.end or before_marker or self.blob[stop] == NEWLINE

    @cached_property
    def speaks_under_headers(self) -> bool:
        """Whether turns with a header of the agent hold thoughts or calls: what stands in others' turns is theirs."""
        role: str | None = None
        for hit in self.hits:
            for index in self.library.markers[hit[2]].opens:
                pattern = self.library.patterns[index]
                if pattern.kind == "turn":
                    role = pattern.role
                elif role == "assistant" and pattern.span_type in ("reasoning", "action"):
                    return True
        return False

    def quoted(self, position: int) -> bool:
        """Whether a quotation mark or backtick stands directly before a position."""
        return self.blob[position - 1 : position] in (b"`", b'"', b"'")

    def closer(self, opened: int, pattern: PatternConfig, position: int) -> Hit | None:
        """The marker that closes a block; None where a turn, or for actions the same opener, comes before it."""
        if self.at + 1 < len(self.hits):  # most blocks hold no other marker: no look-up is needed
            hit = self.hits[self.at + 1]
            if opened in self.library.markers[hit[2]].closes and hit[0] >= position:
                return hit
        close = self.next(("close", opened), position)
        if close is None:
            return None
        turn = self.next("turn", position)
        if turn is not None and turn[0] < close[0]:
            return None
        if pattern.span_type == "action":
            again = self.next(("open", opened), position)
            if again is not None and again[0] < close[0] and self.line_initial(again[0]):
                return None
        return close

    def limit(self, opened: int, pattern: PatternConfig, position: int, turn: str) -> Hit | None:
        """What ends a block that is not closed: a turn, a result, a call after reasoning, the same opener of a call."""
        if pattern.span_type == "answer" and (end := self.next(turn, position)) is not None:
            return end
        other: Key = ("open", opened) if pattern.span_type == "action" else "action"
        keys: tuple[Key, ...] = (turn, "observation", other)
        return min((hit for key in keys if (hit := self.next(key, position)) is not None), default=None)

    def closing_fence(self, position: int) -> Hit | None:
        """The fence that closes a fence before `position`: the next one, if it is plain and in the same turn."""
        fence = self.next("fence", position)
        if fence is None or self.library.markers[fence[2]].fence != "plain":
            return None
        turn = self.next("turn", position)
        return None if turn is not None and turn[0] < fence[0] else fence

    def paragraph(self, position: int) -> str:
        """The words after a position, up to the next marker or blank line; at most 1,000 bytes."""
        start = self.skip_space(position)
        at = bisect_left(self.hits, (position,))
        stop = min(self.hits[at][0] if at < len(self.hits) else self.end, self.end, start + 1000)
        blank = self.blob.find(b"\n\n", start, stop)
        return self.blob[start : stop if blank < 0 else blank].decode("utf-8", "replace").strip()

    def names_a_call(self, position: int) -> bool:
        """Whether JSON begins at a position that names a tool and its arguments."""
        return _CALL.match(self.blob, position, min(self.end, position + 400)) is not None

    def closes_turn(self, position: int) -> bool:
        """Whether JSON that began before a position goes on to the end of the turn."""
        turn = self.next("any_turn", position)
        stop = turn[0] if turn else self.end
        return self.blob[max(position, stop - 40) : stop].rstrip()[-1:] in (b"}", b"]")

    def is_no_code(self, fence: Hit) -> bool:
        """Whether a fence names a language that nobody runs."""
        return _NO_CODE.match(self.blob, fence[0]) is not None

    def holds_tags(self, position: int) -> bool:
        """Whether the words after an opening tag begin with another sure opening tag."""
        start = self.skip_space(position)
        at = bisect_left(self.hits, (start,))
        if at == len(self.hits) or self.hits[at][0] != start:
            return False
        patterns = [self.library.patterns[index] for index in self.library.markers[self.hits[at][2]].opens]
        return any(p.kind == "tag" and p.span_type in ("reasoning", "action") for p in patterns)

    def fence_at(self, position: int) -> bool:
        """Whether only whitespace stands between a position and the next fence."""
        fence = self.next("fence", position)
        return fence is not None and fence[0] <= self.skip_space(position)

    def result_follows(self, position: int, adjacent: bool = True) -> bool:
        """Whether the next marker, but for headers of turns, is a result.

        Args:
            position: Byte where a call would end.
            adjacent: Only whitespace may stand before the marker.
        """
        at = bisect_left(self.hits, (position,))
        for hit in self.hits[at : at + 4]:
            if hit[0] < position:
                continue
            if adjacent and hit[0] > self.skip_space(position):
                return False
            patterns = [self.library.patterns[index] for index in self.library.markers[hit[2]].opens]
            if any(p.role == "tool" or (p.span_type == "observation" and p.confidence >= WEAK) for p in patterns):
                return True
            if not self.turns or not any(p.kind == "turn" for p in patterns):
                return False
            position = hit[1]
        return False

    def turn_ends(self, position: int) -> bool:
        """Whether nothing but whitespace stands before the end of a turn, or reasoning is the next that is marked."""
        stop = self.skip_space(position)
        at = bisect_left(self.hits, (position,))
        if at == len(self.hits):
            return stop == self.end
        hit = self.hits[at]
        patterns = [self.library.patterns[index] for index in self.library.markers[hit[2]].opens]
        if any(p.kind == "label" and p.span_type == "reasoning" for p in patterns):
            return True
        return stop == self.end or (hit[0] <= stop and self.turns and any(p.kind == "turn" for p in patterns))
