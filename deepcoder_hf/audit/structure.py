"""What is known of a batch once its turns are read: a class for every token, the turns, and what is out of place."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from deepcoder_hf.audit.grammar import Role


class TokenClass(IntEnum):
    """What a token is."""

    OTHER = 0
    HEADER = 1
    SYSTEM = 2
    USER = 3
    OBSERVATION = 4
    REASONING = 5
    CALL = 6
    TEXT = 7
    STOP = 8
    NEWLINE = 9
    EMPTY_THINK = 10
    PADDING = 11


@dataclass(slots=True)
class Turn:
    """One turn; all positions are tokens of the batch.

    Args:
        role: Who speaks.
        header: First token of the header.
        content: First token after the header.
        content_end: Token after the content.
        stop: The stop token, -1 where there is none.
        thinks: Whether it holds reasoning that is not empty.
        ends_as: Class that the content ended in, where no stop follows.
    """

    role: Role
    header: int
    content: int
    content_end: int = -1
    stop: int = -1
    thinks: bool = False
    ends_as: TokenClass = TokenClass.OTHER


@dataclass(slots=True)
class Structure:
    """What was found in a batch.

    Args:
        classes: `TokenClass` of each token, uint8 [N].
        turns: The turns of each sequence.
        stray: Control tokens where none belongs, and text outside turns: token ranges, by what they are.
        unclosed: Turns that another one follows without a stop: their last token.
    """

    classes: npt.NDArray[np.uint8]
    turns: list[list[Turn]]
    stray: list[tuple[int, int, str]] = field(default_factory=list)
    unclosed: list[tuple[int, Role]] = field(default_factory=list)
