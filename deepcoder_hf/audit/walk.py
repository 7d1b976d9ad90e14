"""One walk over the markers of a sequence: opens and closes turns, and says what stands between the markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deepcoder_hf.audit.events import Event
from deepcoder_hf.audit.grammar import Grammar, Kind, Role
from deepcoder_hf.audit.headers import Header
from deepcoder_hf.audit.structure import TokenClass, Turn

Int64 = npt.NDArray[np.int64]
_CONTENT = {
    Role.UNKNOWN: TokenClass.OTHER,
    Role.SYSTEM: TokenClass.SYSTEM,
    Role.USER: TokenClass.USER,
    Role.ASSISTANT: TokenClass.TEXT,
    Role.TOOL: TokenClass.OBSERVATION,
}
_MODELS_OWN = (Kind.THINK_OPEN, Kind.THINK_CLOSE, Kind.CALL_OPEN, Kind.CALL_CLOSE)
"""Markers that only the model writes."""


class Walk:
    """The state machine over the events; collects segments `(end, class)` over the whole batch."""

    def __init__(self, grammar: Grammar, n_text: Int64, headers: dict[int, tuple[Header, int]]) -> None:
        self._grammar = grammar
        self._n_text = n_text
        self._headers = headers
        self.ends: list[int] = []
        self.classes: list[int] = []
        self.stray: list[tuple[int, int, str]] = []
        self.unclosed: list[tuple[int, Role]] = []
        self._turns: list[Turn] = []
        self._turn: Turn | None = None
        self._at = 0
        self._end = 0
        self._state = TokenClass.OTHER
        self._pair = -1
        self._events: Sequence[Event] = ()
        self._no_close_before = 0

    def sequence(self, start: int, end: int, events: Sequence[Event]) -> list[Turn]:
        """Walk one sequence; segments cover it without gap."""
        self._turns, self._turn, self._at, self._events, self._no_close_before = [], None, start, events, 0
        self._end = end
        self._state = _CONTENT[self._grammar.before] if events else TokenClass.OTHER
        for number, event in enumerate(events):
            if event.start < self._at or event.end > end:
                continue  # inside a header that was read, or over the end of the sequence
            kind = event.marker.kind
            if kind is Kind.OPEN:
                self._open(event, end)
            elif kind is Kind.STOP:
                self._stop(event)
            elif self._turn is None:
                continue
            elif self._turn.role is Role.ASSISTANT:
                self._inside_assistant(event, number)
            else:
                self._inside_other(event)
        if self._turn is not None:
            self._finish(end, stop=-1)
        else:
            self._outside(end)
        return self._turns

    def _emit(self, end: int, kind: TokenClass) -> None:
        if end > self._at:
            self.ends.append(end)
            self.classes.append(int(kind))
            self._at = end

    def _has_text(self, start: int, end: int) -> bool:
        return bool(self._n_text[end] > self._n_text[start])

    def _open(self, event: Event, sequence_end: int) -> None:
        found = self._headers.get(event.start)
        if found is None or found[1] > sequence_end:
            self._orphan(event, sequence_end)
            return
        header, end = found
        previous = self._turns[-1] if self._turns else None
        if self._turn is not None:
            previous = self._turn
            self._finish(event.start, stop=-1)
            if self._grammar.frame and self._grammar.stops and previous.content_end > previous.content:
                self.unclosed.append((event.start - 1, previous.role))
        else:
            self._outside(event.start)
        if header.role is Role.UNKNOWN:
            self.stray.append((event.start, end, "header of an unknown role"))
        self._turn = Turn(header.role, event.start, end)
        self._turns.append(self._turn)
        self._state = _CONTENT[header.role]
        self._pair = -1
        own = self._grammar.channels and header.role is Role.ASSISTANT
        if own:
            self._channel(header, continues=previous is not None and previous.role is Role.ASSISTANT)
        self._emit(end, self._state if own else TokenClass.HEADER)

    def _channel(self, header: Header, continues: bool) -> None:
        """In harmony the model writes its channel, and after its first message the header as well."""
        assert self._turn is not None
        if not continues:
            self._emit(min(self._turn.header + 2, self._turn.content), TokenClass.HEADER)
        self._turn.content = self._at
        if " to=" in header.name:
            self._state = TokenClass.CALL
        elif "analysis" in header.name:
            self._state = TokenClass.REASONING
            self._turn.thinks = True

    def _orphan(self, event: Event, sequence_end: int) -> None:
        """An opener without a header: the end of a cut row, or a control token inside a text."""
        if event.end < sequence_end and self._turn is not None:
            self.stray.append((event.start, event.end, "opener without a header"))

    def _stop(self, event: Event) -> None:
        if self._turn is None:
            return
        self._finish(event.start, stop=event.start)
        self._emit(event.end, TokenClass.STOP if self._turns[-1].role is Role.ASSISTANT else TokenClass.HEADER)

    def _finish(self, end: int, stop: int) -> None:
        turn = self._turn
        assert turn is not None
        if self._state is TokenClass.REASONING and self._has_text(self._at, end):
            turn.thinks = True
        if turn.role is Role.USER and self._state is TokenClass.OBSERVATION and self._pair >= 0:
            self.stray.append((max(self._at, end - 1), end, "tool result that is not closed"))
        turn.ends_as, turn.content_end, turn.stop = self._state, end, stop
        self._emit(end, self._state)
        self._turn = None

    def _outside(self, end: int) -> None:
        """What stands between the stop of a turn and the next header, or before the first one."""
        after_assistant = bool(self._turns) and self._turns[-1].role is Role.ASSISTANT
        if self._turns and self._has_text(self._at, end):
            self.stray.append((self._at, end, "text outside turns"))
            self._emit(end, TokenClass.OTHER)
        elif self._turns:
            self._emit(end, TokenClass.NEWLINE if after_assistant else TokenClass.HEADER)
        else:
            self._emit(end, self._state)

    def _inside_assistant(self, event: Event, number: int) -> None:
        turn, marker = self._turn, event.marker
        assert turn is not None
        if marker.kind is Kind.THINK_OPEN and self._state is TokenClass.TEXT:
            if marker.is_token or not self._has_text(turn.content, event.start):
                self._emit(event.start, TokenClass.TEXT)
                self._state, self._pair = TokenClass.REASONING, marker.pair
        elif marker.kind is Kind.THINK_CLOSE:
            self._close_think(event)
        elif marker.kind is Kind.CALL_OPEN and self._state is not TokenClass.CALL:
            if self._state is TokenClass.REASONING and (self._pair < 0 or self._closes(number)):
                return  # markup that the model only thinks about
            if self._state is TokenClass.REASONING:
                turn.thinks |= self._has_text(self._at + 1, event.start)
            self._emit(event.start, self._state)
            self._state, self._pair = TokenClass.CALL, marker.pair
        elif marker.kind is Kind.CALL_CLOSE and self._state is TokenClass.CALL and marker.pair == self._pair:
            self._emit(event.end, TokenClass.CALL)
            self._state, self._pair = TokenClass.TEXT, -1

    def _close_think(self, event: Event) -> None:
        turn = self._turn
        assert turn is not None
        orphan = self._state is TokenClass.TEXT and self._at == turn.content
        if not orphan and not (self._state is TokenClass.REASONING and event.marker.pair == self._pair):
            return
        begin = self._at if orphan else self._at + 1
        if self._has_text(min(begin, event.start), event.start):
            turn.thinks = True
            self._emit(event.end, TokenClass.REASONING)
        else:
            follows = event.end < self._end and not self._has_text(event.end, event.end + 1)
            self._emit(event.end + follows, TokenClass.EMPTY_THINK)
        self._state, self._pair = TokenClass.TEXT, -1

    def _inside_other(self, event: Event) -> None:
        turn, marker = self._turn, event.marker
        assert turn is not None
        if turn.role is Role.USER and marker.kind is Kind.RESULT_OPEN and self._pair < 0:
            self._emit(event.start, self._state)
            self._state, self._pair = TokenClass.OBSERVATION, marker.pair
        elif turn.role is Role.USER and marker.kind is Kind.RESULT_CLOSE and marker.pair == self._pair:
            self._emit(event.end, TokenClass.OBSERVATION)
            self._state, self._pair = TokenClass.USER, -1
        elif marker.is_token and turn.role in (Role.USER, Role.TOOL) and marker.kind in _MODELS_OWN:
            self.stray.append((event.start, event.end, "control token inside a text"))

    def _closes(self, number: int) -> bool:
        """Whether the reasoning is closed later in this turn; what was looked at once is not looked at again."""
        for later in range(max(number + 1, self._no_close_before), len(self._events)):
            marker = self._events[later].marker
            if marker.kind in (Kind.OPEN, Kind.STOP):
                self._no_close_before = later
                return False
            if marker.kind is Kind.THINK_CLOSE and marker.pair == self._pair:
                self._no_close_before = later
                return True
        self._no_close_before = len(self._events)
        return False
