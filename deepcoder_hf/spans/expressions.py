"""Which regular expressions markers may use: those that a search in bytes finishes in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, Literal

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.errors import ConfigError

REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)

WIDE_CLASS = re.compile(r"(?<!\\)\[[^\]]*[^\x00-\x7f]")
"""A character class that names a character of several bytes: in bytes it would match one of them."""

BYTE_RANGE = 4
"""How many first bytes share a branch: fewer branches to try against fewer bodies within one."""

MAX_WIDTH = 300
"""Longest text, in bytes, that a marker may match; it keeps every search linear."""


def _refuse(pattern: PatternConfig, field: str, problem: str) -> ConfigError:
    return ConfigError(f"pattern {pattern.name!r}: {field} {problem}: {getattr(pattern, field)!r}")


def _nodes(parsed: Iterable[Any], repeats: int = 0) -> Iterator[tuple[Any, Any, int]]:
    """Each node of a parsed expression: operation, argument, and in how many repeats it stands."""
    for operation, argument in parsed:
        yield operation, argument, repeats
        if operation in REPEATS:
            yield from _nodes(argument[2], repeats + (argument[1] > 1))
        elif operation is sre.BRANCH:
            for branch in argument[1]:
                yield from _nodes(branch, repeats)
        elif operation in (sre.SUBPATTERN, sre.ASSERT, sre.ASSERT_NOT):
            yield from _nodes(argument[-1], repeats)
        elif operation is sre.ATOMIC_GROUP:
            yield from _nodes(argument, repeats)


def _problem_of_node(operation: Any, argument: Any, repeats: int) -> str | None:
    if operation in REPEATS:
        if argument[1] == sre.MAXREPEAT:
            return "repeats without a bound; write {0,3} instead of *, {1,3} instead of +"
        if repeats and argument[1] > 1:
            return "repeats a repeat; write it out"
        if any(op is sre.LITERAL and value > 127 for op, value in argument[2]) and len(argument[2]) == 1:
            return "repeats a character outside of ASCII; put it into (?:...)"
    if operation is sre.NOT_LITERAL and argument != ord("\n"):
        return "can run over the end of a line; write [^x\\n] instead of [^x]"
    if operation is sre.IN:
        negated = argument[0][0] is sre.NEGATE and (sre.LITERAL, ord("\n")) not in argument
        if negated and not any(op is sre.CATEGORY and value is sre.CATEGORY_SPACE for op, value in argument):
            return "can run over the end of a line; write [^x\\n] instead of [^x]"
        wide = (sre.CATEGORY_NOT_DIGIT, sre.CATEGORY_NOT_WORD)
        if any(op is sre.CATEGORY and value in wide for op, value in argument):
            return "can run over the end of a line; write [^x\\n] instead of \\D or \\W"
    return None


def check_expression(pattern: PatternConfig, field: Literal["open", "close"]) -> tuple[str, bool]:
    """Make sure that an expression can be searched in linear time, and in bytes.

    Args:
        pattern: The pattern.
        field: Which of its expressions.

    Returns:
        The expression without a leading `^`, and whether it stands at a line's start.

    Raises:
        ConfigError: It does not compile, captures a group, sets flags, repeats without a bound or within a repeat, is
            longer than MAX_WIDTH, can run over a line's end through a negated class, has a character outside of ASCII
            in a class, matches nothing, or begins with something else than a literal and is not at a line's start.
    """
    source: str = getattr(pattern, field) or ""
    at_line_start = source.startswith("^") or pattern.kind in ("label", "fence")
    body = source.removeprefix("^")
    try:
        parsed = sre_parser.parse(body.encode("utf-8", "surrogatepass"))
    except re.error as error:
        raise _refuse(pattern, field, f"is not a regular expression ({error})") from None
    if parsed.state.groups > 1:
        raise _refuse(pattern, field, "captures a group; write (?:...) instead of (...)")
    if parsed.state.flags & ~re.UNICODE:
        raise _refuse(pattern, field, "sets flags for the whole expression; write (?i:...) instead of (?i)")
    if not len(parsed) or parsed.getwidth()[0] == 0:
        raise _refuse(pattern, field, "can match the empty text; begin it with a literal")
    if WIDE_CLASS.search(body):
        raise _refuse(pattern, field, "has a character outside of ASCII in [...]; write (?:a|b) instead of [ab]")
    for node in _nodes(parsed):
        problem = _problem_of_node(*node)
        if problem:
            raise _refuse(pattern, field, problem)
    if parsed.getwidth()[1] > MAX_WIDTH:
        raise _refuse(pattern, field, f"can match more than {MAX_WIDTH} characters")
    if not at_line_start and parsed[0][0] is not sre.LITERAL:
        raise _refuse(pattern, field, "does not begin with a literal; begin it with one, or with ^ for a line's start")
    return body, at_line_start


def by_literals(bodies: Sequence[str]) -> tuple[str, list[int]] | None:
    """One expression for bodies that share their first literal, branching on the second before anything else.

    `re` tries alternatives one by one, so that 200 of them cost a microsecond at every `<`; a branch on one literal
    rejects at once (measured: twice as fast in all).

    Args:
        bodies: Expressions; of those that can match at one place the first wins.

    Returns:
        The expression, in which each body ends with an empty group, and which body each group stands for; None where
        the bodies do not begin with one and the same literal.
    """
    order: dict[str, list[tuple[int, str]]] = {}
    starts = set()
    for number, body in enumerate(bodies):
        split = _split_literal(body)
        if split is None:
            return None
        starts.add(split[0])
        second, rest = _split_literal(split[1]) or ("", split[1])
        order.setdefault(second, []).append((number, rest))
    if len(starts) != 1:
        return None
    order[""] = order.pop("", [])  # what begins otherwise comes last
    if not order[""]:
        del order[""]
    branches = [f"{second}(?:{'|'.join(f'(?:{rest})()' for _, rest in group)})" for second, group in order.items()]
    return f"{starts.pop()}(?:{'|'.join(branches)})", [number for group in order.values() for number, _ in group]


def _split_literal(body: str) -> tuple[str, str] | None:
    """The first literal of an expression, as it is written, and the rest; None where the two cannot be cut apart."""
    size = 2 if body.startswith("\\") else 1
    first, rest = body[:size], body[size:]
    try:
        parsed, head = sre_parser.parse(body), sre_parser.parse(first)
        sre_parser.parse(rest)
    except re.error:
        return None
    if len(head) != 1 or head[0][0] is not sre.LITERAL or repr(parsed[1:]) != repr(sre_parser.parse(rest)[0:]):
        return None
    return (first, rest) if parsed[0] == head[0] else None


def either(bodies: Iterable[str]) -> str:
    """One expression for all bodies; an empty group after each tells which one matched."""
    return "|".join(f"(?:{body})()" for body in bodies)


def by_first_byte(bodies: Sequence[str]) -> tuple[bytes, list[int]]:
    """One expression for bodies that begin differently, branching on the range of their first byte first.

    Args:
        bodies: Expressions; of those that can match at one place the first wins.

    Returns:
        The expression, in which each body ends with an empty group, and which body each group stands for.
    """
    firsts = [first_bytes(body) for body in bodies]
    if None in firsts:
        return b"(?:%s)" % either(bodies).encode("utf-8", "surrogatepass"), list(range(len(bodies)))
    ranges: dict[int, set[int]] = {}
    for first in firsts:
        for byte in first or ():
            ranges.setdefault(byte // BYTE_RANGE, set()).add(byte)
    branches, order = [], []
    for number in sorted(ranges):
        inside = [n for n, first in enumerate(firsts) if first and first & ranges[number]]
        order += inside
        these = either(bodies[n] for n in inside).encode("utf-8", "surrogatepass")
        branches.append(b"(?=[%s])(?:%s)" % (_class(ranges[number]), these))
    return b"(?=[%s])(?:%s)" % (_class(set().union(*ranges.values())), b"|".join(branches)), order


def _class(members: Iterable[int]) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in sorted(members))


def first_bytes(expression: str) -> set[int] | None:
    """The bytes that a match can begin with; None where they are not easily told."""
    return _first_bytes(sre_parser.parse(expression.encode("utf-8", "surrogatepass")))


def _first_bytes(parsed: Iterable[Any]) -> set[int] | None:
    found: set[int] = set()
    for operation, argument in parsed:
        if operation is sre.SUBPATTERN and argument[0] and not len(argument[-1]):
            continue  # the empty groups that tell alternatives apart
        optional = operation in REPEATS and argument[0] == 0
        if operation is sre.LITERAL:
            first: set[int] | None = {argument}
        elif operation is sre.IN:
            first = _bytes_of_class(argument)
        elif operation is sre.BRANCH:
            branches = [_first_bytes(branch) for branch in argument[1]]
            first = None if None in branches else {byte for branch in branches for byte in branch or ()}
        elif operation in REPEATS:
            first = _first_bytes(argument[2])
        elif operation is sre.SUBPATTERN and not argument[1] and not argument[2]:
            first = _first_bytes(argument[-1])
        else:
            return None
        if first is None:
            return None
        found |= first
        if not optional:
            return found
    return None


def _bytes_of_class(members: Iterable[Any]) -> set[int] | None:
    found: set[int] = set()
    for operation, argument in members:
        if operation is sre.LITERAL:
            found.add(argument)
        elif operation is sre.RANGE:
            found.update(range(argument[0], argument[1] + 1))
        else:
            return None
    return found
