"""Segments: what the machine writes. Text that no marker explains is loose until its turn is decided."""

from __future__ import annotations

from functools import cached_property

from deepcoder_hf.spans.lookahead import Lookahead
from deepcoder_hf.spans.resolve import Segment
from deepcoder_hf.spans.types import TYPE_IDS

OTHER, REASONING, ACTION, OBSERVATION, ANSWER = (
    TYPE_IDS[name] for name in ("other", "reasoning", "action", "observation", "answer")
)
LOOSE = 0.8
"""Confidence of what no marker names, only its place in the turn; 1.0 where the source says who wrote it."""
UNMARKED_RESULT = 0.6
"""Confidence of results that no marker names."""

NAMES = {ANSWER: "turn_end", REASONING: "before_call", OBSERVATION: "after_call", OTHER: "no_marker"}
"""What the column `spans.pattern` says of loose text, by the type that it got."""


class Segments:
    """The segments of one text so far: their starts strictly increase, and the first begins where the text does.

    Args:
        ahead: The text's markers and whitespace.
    """

    def __init__(self, ahead: Lookahead) -> None:
        self.ahead = ahead
        self.items: list[Segment] = []
        self.loose: list[int] = []
        """Indexes of the segments of this turn whose type is not decided yet."""
        self.open: dict[int, int] = {}
        """Segments whose end no marker tells, by index, and the byte where their words begin after the marker."""
        self.headed: set[int] = set()
        """Loose segments of turns whose header says that the agent speaks."""
        self.agent_turn = False
        """Whether the turn has such a header."""
        self.turns: set[str] = set()
        """Roles of the turn markers so far; "strong" is among them if one of them was sure."""
        self.labelled: set[str] = set()
        """Span types of the labels so far."""
        self.fresh = ahead.start
        """Where the first character stands that belongs to no marker: what begins here begins the speech."""
        self.open_loose(ahead.start)

    def put(
        self, position: int, kind: int, subtype: str, confidence: float, pattern: str, words: int | None = None
    ) -> None:
        """Begin a segment.

        Args:
            position: Where it begins.
            kind: Type id.
            subtype: Subtype.
            confidence: In [0, 1].
            pattern: What decided.
            words: Where its words begin after its marker, if the next marker ends it and no marker of its own.
        """
        if words is not None:
            self.open[len(self.items)] = words
        self.items.append((position, kind, subtype, confidence, pattern))

    def make_room(self, position: int) -> int:
        """Forget the last segment if it is loose and only whitespace stands in it before a marker.

        Args:
            position: Where the marker stands.

        Returns:
            Where the marker's segment begins: at the forgotten one's start, if that is earlier.
        """
        if position > self.fresh or not self.last_is_loose():
            return position
        self.headed.discard(self.loose.pop())
        return min(position, self.items.pop()[0])

    def last_is_loose(self) -> bool:
        """Whether nothing is decided yet about the text right before the next marker."""
        return bool(self.loose) and self.loose[-1] == len(self.items) - 1

    def open_loose(self, position: int) -> None:
        """Begin text that no marker explains, after the whitespace that belongs to what stands before."""
        self.fresh = self.ahead.skip_space(position)
        if self.fresh < self.ahead.end or not self.items:
            self.items.append((self.fresh if self.items else position, OTHER, "loose", LOOSE, ""))
            self.loose.append(len(self.items) - 1)
            if self.agent_turn:
                self.headed.add(len(self.items) - 1)

    def settle(self, kind: int, subtype: str, confidence: float = LOOSE, pattern: str | None = None) -> None:
        """Decide all loose text of the turn."""
        for index in self.loose:
            self.items[index] = (self.items[index][0], kind, subtype, confidence, pattern or NAMES[kind])
        self.loose.clear()

    def settle_last_as_result(self) -> None:
        """Decide that the last segment, which is loose, is the result of the call before it."""
        start = self.items[self.loose.pop()][0]
        self.items[-1] = (start, OBSERVATION, "unmarked", UNMARKED_RESULT, NAMES[OBSERVATION])

    @cached_property
    def results_marked(self) -> bool:
        """Whether markers show at least half as many results as there are calls; ask when the machine is done."""
        loose = NAMES.values()
        calls = sum(item[1] == ACTION for item in self.items)
        results = sum(item[1] == OBSERVATION and item[4] not in loose for item in self.items)
        return results > 0 and 2 * results >= calls

    @cached_property
    def thoughts_marked(self) -> bool:
        """Whether a marker shows some of what the agent thinks; ask when the machine is done."""
        loose = NAMES.values()
        return any(item[1] == REASONING and item[4] not in loose for item in self.items)

    def before(self, start: int) -> int:
        """The type of what stands directly before a marker: OTHER where undecided text does."""
        if not self.last_is_loose():
            return self.items[-1][1]
        return self.items[-2][1] if start <= self.fresh and len(self.items) > 1 else OTHER
