"""The state machine that pairs the markers of one text: linear in the number of markers, whatever their order.

A turn is what one participant writes. Within the agent's turn, text that no marker explains is loose: it becomes
preamble (REASONING) when a call, or a marked final answer, follows in the same turn, and ANSWER when none does. Outside
of it, it is OTHER. In a text without any markup of results, loose text between a call and the next block is the
result. refine.py then divides what no marker decided.

Evidence that a marker needs, beside its words (context.py weighs it):

- A tag that does not begin its line is text, unless it closes, no quotation mark stands before it, and it is a call or,
  once the agent has spoken, a sure answer. In a prompt such a tag must also end its line: within a sentence the prompt
  explains it.
- A block that a turn or the next call ends is less sure than a closed one; weak and inline ones must be closed.
- A weak pattern (confidence below WEAK) counts only in context: a result directly after a call; a call within labelled
  reasoning, where a result follows, before a fence after a result, and without a closing marker also where the agent's
  turn begins with it or is a whole call; reasoning at the start of what the agent says, with a call or answer to come;
  an answer directly after reasoning or a result; a turn in a text that begins with a weak turn of the same layout.
- A weak tag that holds sure tags is a container: those say what it holds.
- A fence is opaque. One that names a tool and its arguments, or a sure language, is a call; any other is one where a
  result follows, marked or in the world's voice, or where labelled reasoning ends with it. Within a labelled answer
  none is; within a labelled result one is only where a further result follows.
- A strong turn of user or system makes all markup in it text, but for results at its start; a weak one does not.
- A closing tag alone closes reasoning that began where the agent began to speak, if its opening tag was no mention.
"""

from __future__ import annotations

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.context import Context
from deepcoder_hf.spans.library import WEAK
from deepcoder_hf.spans.refine import refine
from deepcoder_hf.spans.resolve import Segment
from deepcoder_hf.spans.scan import Hit
from deepcoder_hf.spans.segments import ACTION, ANSWER, LOOSE, OBSERVATION, OTHER, REASONING
from deepcoder_hf.spans.types import TYPE_IDS

UNCLOSED = 0.7
"""Factor on the confidence of a span whose closing marker never came."""
ORPHAN = 0.85
"""Factor where only the closing marker of reasoning came: the opener stood in the prompt."""
UNKNOWN = 0.3
"""Confidence of OTHER in a text in which the agent never speaks."""

ANY_FENCE = PatternConfig(
    name="fence", span_type="action", kind="fence", open="```", subtype="code", confidence=0.7,
    example="x", counter_example="y",
)  # fmt: skip
"""Code in a fence of any language: a call where the world answers it."""


LONGEST_SIGN = 3
"""Bytes of a header that is no word: `> ` also quotes."""


class Machine(Context):
    """Segments one text.

    Args:
        blob: The joined batch.
        hits: Markers of this text, sorted.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        role: Who wrote the text, or None where it holds a whole trajectory.
        library: The patterns behind the markers.
    """

    def run(self) -> list[Segment]:
        """Segments in order; the first begins at `start` unless the text is empty."""
        if self.start == self.end:
            return []
        if self.role == "tool":
            return [(self.start, OBSERVATION, "tool", 1.0, "role_tool")]
        self._see_first_turn()
        position = self.start
        for index, hit in enumerate(self.hits):
            if hit[0] >= position:
                self.ahead.at = index
                position = self._take(hit)
        self._end_turn()
        if self.whole and not self.agent_seen and len(self.out.items) == 1 and not self.out.items[0][1]:
            self.out.items = [(self.start, OTHER, "user", UNKNOWN, self.out.items[0][4])]
        return refine(self.out, self.end) if self.whole else self.out.items

    def _see_first_turn(self) -> None:
        """Whether a whole text begins with a weak turn, and in what layout."""
        if not self.whole or not self.hits or self.hits[0][0] > self.out.fresh:
            return
        first = self.library.markers[self.hits[0][2]]
        self.dialogue = "any_turn" in first.keys and "turn" not in first.keys
        self.layout = {style for index in first.opens for style in self.library.patterns[index].styles}

    def _take(self, hit: Hit) -> int:
        """Act on one marker; returns the byte from which markers count again."""
        marker = self.library.markers[hit[2]]
        for opened in marker.opens:
            pattern = self.library.patterns[opened]
            if pattern.kind == "turn":
                stop = self._turn(hit, pattern)
            elif self.is_blocked(hit, pattern):
                continue
            elif pattern.kind == "label":
                stop = self._label(hit, pattern)
            elif pattern.kind == "fence":
                stop = self._fence(hit, pattern)
            else:
                stop = self._tag(hit, opened, pattern)
            if stop is not None:
                return min(stop, self.end)
        if marker.fence:
            stop = None if self.blocked else self._fence(hit, ANY_FENCE)
            closing = self.ahead.closing_fence(hit[1]) if stop is None else None
            return min(stop or (closing[1] if closing else hit[1]), self.end)
        if marker.closes and not self.blocked:
            return self._orphan_close(hit, self.library.patterns[marker.closes[0]])
        return hit[0]  # another marker may begin here

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn(self, hit: Hit, pattern: PatternConfig) -> int | None:
        """Begin or end a turn; None where the marker is only text."""
        if not self.turn_counts(pattern):
            return None
        if pattern.role is None:
            return self._turn_end(hit, pattern.name)
        weak = pattern.confidence < WEAK
        start = self.out.make_room(hit[0])
        if pattern.role != self.role:  # a second header of the agent goes on with its turn
            self._end_turn()
        self.role, self.label = pattern.role, None
        self.surely = not weak
        opaque = not weak or (hit[1] - hit[0] > LONGEST_SIGN and self.ahead.speaks_under_headers)
        self.blocked = pattern.role != "assistant" and opaque
        kind = OBSERVATION if pattern.role == "tool" else OTHER
        subtype = "header" if pattern.role == "assistant" else pattern.role
        self.out.agent_turn = pattern.role == "assistant"
        self.out.turns |= {pattern.role} if weak else {pattern.role, "strong"}
        self.out.put(start, kind, subtype, pattern.confidence, pattern.name, hit[1] if weak else None)
        self.out.fresh = self.ahead.skip_space(hit[1])
        if pattern.role == "assistant":
            self.out.open_loose(hit[1])
            self.agent_seen = True
        return hit[1]

    def _turn_end(self, hit: Hit, name: str) -> int:
        """A marker that ends a turn belongs to the span that it ends."""
        if len(self.out.items) > 1:
            self.out.make_room(hit[0])
        self._end_turn()
        self.out.agent_turn = False
        self.role, self.label, self.blocked, self.ended_by = "between", None, False, name
        self.out.open_loose(hit[1])
        return hit[1]

    def _end_turn(self) -> None:
        """Decide what the loose text of the turn was, now that no call follows."""
        if self.role == "assistant":
            self.out.settle(ANSWER, "message")
        elif self.role == "between":
            self.out.settle(OTHER, "header", pattern=self.ended_by)
        else:
            self.out.settle(OTHER, self.role or "user", LOOSE if self.whole else 1.0)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _tag(self, hit: Hit, opened: int, pattern: PatternConfig) -> int | None:
        """Begin the block of a tag; None where the tag is only text."""
        if not pattern.close:
            return self._open_block(hit, pattern)
        close = self.ahead.closer(opened, pattern, hit[1])
        if not self.is_placed(hit, pattern, close):
            self.mention = hit[1] if pattern.span_type == "reasoning" else self.mention
            return None
        if close is None:
            stop, confidence = self._unclosed(hit, opened, pattern)
        elif self.tag_agrees(hit, pattern, close):
            stop = close[0] if self.library.markers[close[2]].opens else close[1]
            confidence = pattern.confidence
        else:
            return None
        self._begin(hit[0], pattern, confidence)
        self.out.open_loose(stop)
        return stop

    def _open_block(self, hit: Hit, pattern: PatternConfig) -> int | None:
        """Begin a block that the next marker ends."""
        if not self.block_counts(hit, pattern):
            return None
        self._begin(hit[0], pattern, pattern.confidence, hit[1])
        self.label = pattern
        return hit[1]

    def _unclosed(self, hit: Hit, opened: int, pattern: PatternConfig) -> tuple[int, float]:
        """Where a tag ends whose closing marker never came, and its confidence: full where a turn's end ends a call."""
        limit = self.ahead.limit(opened, pattern, hit[1], "any_turn" if self.dialogue else "turn")
        if limit is None:
            return self.end, pattern.confidence * UNCLOSED
        cut = pattern.span_type == "reasoning" or "turn_end" not in self.library.markers[limit[2]].keys
        return limit[0], pattern.confidence * (UNCLOSED if cut else 1.0)

    def _label(self, hit: Hit, pattern: PatternConfig) -> int | None:
        """Begin what a label names; None where the label is only text."""
        if pattern.confidence < WEAK and not self.expected(pattern, hit[0], hit[1]):
            return None
        before = self.label
        in_action = before is not None and before.span_type == pattern.span_type == "action"
        if not in_action or before is pattern:  # `Action Input:` continues `Action:`
            self._begin(hit[0], pattern, pattern.confidence, hit[1])
            self.label = pattern
            self.out.labelled.add(pattern.span_type)
        after = self.ahead.skip_space(hit[1])
        if self.ahead.blob.startswith(b"```", after) and not self.ahead.line_initial(after):
            closing = self.ahead.closing_fence(after)  # a fence that begins in the label's line
            return closing[1] if closing else hit[1]
        return hit[1]

    def _fence(self, hit: Hit, pattern: PatternConfig) -> int | None:
        """Take a fence as a block; None where it is only text."""
        closing = self.ahead.closing_fence(hit[1])
        if closing is None or not self.fence_counts(hit, pattern, closing):
            return None
        self.fences = self.fences or pattern.span_type == "action"
        self._begin(hit[0], pattern, pattern.confidence)
        self.out.open_loose(closing[1])
        return closing[1]

    def _orphan_close(self, hit: Hit, pattern: PatternConfig) -> int:
        """A closing tag without opener closes reasoning that began where the agent began to speak."""
        only_loose = self.label is None and len(self.out.loose) == 1 and self.out.last_is_loose()
        if pattern.span_type != "reasoning" or not only_loose:
            return hit[1]
        if self.ahead.quoted(hit[0]) or self.mentioned(hit[0]):
            return hit[1]
        if len(self.out.items) > 1 and self.out.items[-2][1] in (ACTION, ANSWER):
            return hit[1]
        self.out.settle(REASONING, pattern.subtype or pattern.name, pattern.confidence * ORPHAN, pattern.name)
        self.role, self.agent_seen = "assistant", True
        self.out.open_loose(hit[1])
        return hit[1]

    # --- segments ----------------------------------------------------------------------------------------------------

    def _begin(self, position: int, pattern: PatternConfig, confidence: float, words: int | None = None) -> None:
        kind = TYPE_IDS[pattern.span_type]
        self.label = pattern if pattern.kind == "label" else None
        start = self.out.make_room(position)
        if not self.blocked:
            if self.out.loose:
                self._decide_loose(position, kind, pattern.subtype == "final_answer")
            self.role = "assistant" if kind else "user"
            self.out.agent_turn = self.out.agent_turn and bool(kind)
            self.agent_seen = self.agent_seen or kind not in (OTHER, OBSERVATION)
        self.out.put(start, kind, pattern.subtype or pattern.name, confidence, pattern.name, words)

    def _decide_loose(self, position: int, kind: int, final: bool) -> None:
        """Decide what the loose text before a block was; before a final answer that is marked, it reasons."""
        leads_on = kind in (REASONING, ACTION) or (kind == ANSWER and final)
        if self.role != "assistant" or not leads_on:
            self._end_turn()
            return
        words = self.out.last_is_loose() and position > self.out.fresh
        after_call = words and self.out.before(self.out.fresh) == ACTION
        if after_call and self.whole and self.ahead.next("observation", self.start) is None:
            self.out.settle_last_as_result()
        if kind in (ACTION, ANSWER):
            self.out.settle(REASONING, "preamble")
