"""What a mask preset trains of one row beside what the row itself trains: counts by span type, and the stretches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Group
from rich.table import Table
from rich.text import Text

from deepcoder_hf.config import MasksConfig, preset_of, with_preset
from deepcoder_hf.errors import SchemaError
from deepcoder_hf.spans.columns import subtype_codes
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.masks import token_masks, training_of
from deepcoder_hf.view.safe import safe_text

DIFFERENCES = {
    "only_preset": ("+", "green", "trained by the preset, not by the row"),
    "only_row": ("-", "red", "trained by the row, not by the preset"),
    "other_mask": ("~", "yellow", "trained by both, in another mask"),
}
"""Kinds of difference: sign, colour and words."""
BEYOND = "special"
"""What is called the type of tokens beyond the spans: those that the tokenizer puts around a text."""
MAX_STRETCHES = 40
CONTEXT = 24
"""Characters before a stretch that are shown."""
Row = Mapping[str, Any]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens of one span, one after the other, that the preset and the row treat differently in the same way."""

    difference: str
    """A key of `DIFFERENCES`."""
    span_type: str
    subtype: str
    step_id: int
    start_token: int
    end_token: int
    text: str
    """The text of the whole span; empty for tokens beyond the spans."""
    before: str = ""
    """The end of the text before it."""

    @property
    def kind(self) -> str:
        """Type and subtype in one word."""
        return f"{self.span_type}/{self.subtype}" if self.subtype else self.span_type


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row under its own mask settings and under those of a preset."""

    trajectory_id: str
    length: int
    preset: str
    own: MasksConfig
    """The mask settings of the row."""
    wanted: MasksConfig
    """The settings of the preset; who owns tokens over span borders is as in the row."""
    n_row: int
    """Tokens that the row trains."""
    n_preset: int
    """Tokens that the preset trains."""
    n_both: int
    stretches: tuple[Stretch, ...]

    @property
    def same_tokens(self) -> bool:
        """Whether both train the same tokens, in whatever masks."""
        return self.n_row == self.n_both == self.n_preset

    def counts(self, difference: str) -> dict[str, dict[str, int]]:
        """Tokens and stretches of one difference by type and subtype, most tokens first."""
        found: dict[str, dict[str, int]] = {}
        for stretch in self.stretches:
            if stretch.difference == difference:
                count = found.setdefault(stretch.kind, {"tokens": 0, "stretches": 0})
                count["tokens"] += stretch.end_token - stretch.start_token
                count["stretches"] += 1
        return dict(sorted(found.items(), key=lambda item: -item[1]["tokens"]))

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        differences: dict[str, Any] = {}
        for name in DIFFERENCES:
            counts = self.counts(name)
            differences[name] = {"tokens": sum(count["tokens"] for count in counts.values()), "by_type": counts}
        fields = ("difference", "span_type", "subtype", "step_id", "start_token", "end_token", "text")
        return {
            "trajectory_id": self.trajectory_id,
            "length": self.length,
            "preset": self.preset,
            "preset_masks": self.wanted.model_dump(),
            "row_preset": preset_of(self.own),
            "row_masks": self.own.model_dump(),
            "same": not self.stretches,
            "same_tokens": self.same_tokens,
            "trained": {"row": self.n_row, "preset": self.n_preset, "both": self.n_both},
            **differences,
            "stretches": [{name: getattr(stretch, name) for name in fields} for stretch in self.stretches],
        }


def compare(row: Row, preset: str) -> Comparison:
    """Type the tokens of a row again under a preset, from its spans alone, and compare with its labels and masks.

    Args:
        row: A row with the columns of `SAD_FEATURES`.
        preset: A name of `config.PRESETS`.

    Raises:
        SchemaError: The row does not hold together.
    """
    try:
        return _compare(row, preset)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise SchemaError(f"the row cannot be compared ({problem}); see deepcoder-hf validate") from None


def _compare(row: Row, preset: str) -> Comparison:
    facts = json.loads(row["metadata"])
    own = MasksConfig.model_validate(facts["masks"])
    wanted = with_preset(own, preset)
    given = _kinds_of_training(*(np.asarray(row[name]) for name in ("labels", "reasoning_mask", "action_mask")))
    made = _under(row, wanted, facts.get("special_tokens") or {})
    if not given.size == made.size == row["length"]:
        raise ValueError(f"{row['length']} tokens, but {given.size} labels")
    codes = np.select([(given == 0) & (made > 0), (given > 0) & (made == 0), given != made], [1, 2, 3], 0)
    return Comparison(
        trajectory_id=row["trajectory_id"],
        length=row["length"],
        preset=preset,
        own=own,
        wanted=wanted,
        n_row=int((given > 0).sum()),
        n_preset=int((made > 0).sum()),
        n_both=int(((given > 0) & (made > 0)).sum()),
        stretches=tuple(_stretches(row, codes)),
    )


def _kinds_of_training(*columns: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How each token is trained: 0 not, 1 in labels only, 2 as reasoning, 3 as action."""
    labels, reasoning, action = columns
    return np.where(labels == -100, 0, 1 + (reasoning == 1) + 2 * (action == 1))


def _under(row: Row, masks: MasksConfig, added: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """How each token is trained under mask settings."""
    spans, n_tokens = row["spans"], row["length"]
    kinds = np.array([TYPE_IDS[span["span_type"]] for span in spans], np.int8)
    codes = subtype_codes(pa.array([span["subtype"] for span in spans], pa.string()))
    training = training_of(kinds, codes, np.array([0, len(spans)]), masks)
    first = np.array([span["start_token"] for span in spans], np.int64)
    last = np.array([span["end_token"] for span in spans], np.int64)
    if added.get("eos") and len(spans):  # as tokens/typed.py: the EOS is the last span's where that one is trained
        last[-1] = n_tokens if training[-1] else min(int(last[-1]), n_tokens - added["after"] - 1)
    made = token_masks(np.asarray(row["input_ids"], np.int32), first, last, kinds, training)
    return _kinds_of_training(made.labels, made.reasoning_mask, made.action_mask)


def _stretches(row: Row, codes: npt.NDArray[np.int64]) -> list[Stretch]:
    names, at = list(DIFFERENCES), 0
    found: list[Stretch] = []
    parts: list[tuple[int, int, Mapping[str, Any]]] = []
    for span in row["spans"]:
        parts += [(at, span["start_token"], {}), (span["start_token"], span["end_token"], span)]
        at = span["end_token"]
    for begin, end, span in [*parts, (at, row["length"], {})]:
        part = codes[begin:end]
        edges = np.flatnonzero(np.diff(part, prepend=0, append=0))
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if part[first]:
                found.append(_stretch(row, names[part[first] - 1], span, begin + first, begin + last))
    return found


def _stretch(row: Row, difference: str, span: Mapping[str, Any], start_token: int, end_token: int) -> Stretch:
    if not span:
        return Stretch(difference, BEYOND, "", 0, start_token, end_token, "")
    text = row["text"][span["start_char"] : span["end_char"]]
    before = row["text"][max(0, span["start_char"] - CONTEXT) : span["start_char"]]
    kind = (span["span_type"], span["subtype"], span["step_id"])
    return Stretch(difference, *kind, start_token, end_token, text, before)


def comparison(found: Comparison, max_chars: int | None = 160) -> Group:
    """A comparison for the terminal.

    Args:
        found: What `compare` found.
        max_chars: Characters of a stretch that are shown, of `MAX_STRETCHES` stretches; None shows everything.
    """
    title = Text(safe_text(f"{found.trajectory_id}  "), "bold")
    title.append(f"{found.length:,} tokens", "not bold")
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column()
    facts.add_row("row", f"trains {found.n_row:,} tokens ({_settings(found.own)})")
    facts.add_row("preset", f"{found.preset} trains {found.n_preset:,} tokens ({_settings(found.wanted)})")
    parts: list[Any] = [title, facts, _verdict(found)]
    if found.stretches:
        parts.append(_table(found))
    shown = found.stretches if max_chars is None else found.stretches[:MAX_STRETCHES]
    parts += [_line(stretch, max_chars) for stretch in shown]
    if len(shown) < len(found.stretches):
        parts.append(Text(f"… {len(found.stretches) - len(shown):,} more stretches: see --full", "italic"))
    return Group(*parts)


def _settings(masks: MasksConfig) -> str:
    """The settings that are not the default ones."""
    changed = [f"{name}={value}" for name, value in masks if value != MasksConfig.model_fields[name].default]
    return ", ".join(changed) or "the defaults"


def _verdict(found: Comparison) -> Text:
    """Whether it is the same, in words."""
    if not found.stretches:
        return Text(f"The same: row and preset train the same {found.n_row:,} tokens, in the same masks.", "bold green")
    if found.same_tokens:
        return Text(f"Row and preset train the same {found.n_row:,} tokens, some in another mask.", "bold yellow")
    words = f"{found.n_both:,} tokens are trained by both, {found.n_preset - found.n_both:,} by the preset only, "
    return Text(f"{words}{found.n_row - found.n_both:,} by the row only.", "bold")


def _table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("difference", "type"):
        table.add_column(name)
    for name in ("stretches", "tokens"):
        table.add_column(name, justify="right")
    for name, (sign, style, words) in DIFFERENCES.items():
        counts = found.counts(name)
        rows = [(safe_text(kind), count["stretches"], count["tokens"]) for kind, count in counts.items()]
        if len(rows) > 1:
            rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
        for kind, n_stretches, n_tokens in rows:
            table.add_row(Text(f"{sign} {words}", style), kind, f"{n_stretches:,}", f"{n_tokens:,}")
    return table


def _line(stretch: Stretch, max_chars: int | None) -> Text:
    sign, style, _ = DIFFERENCES[stretch.difference]
    n_tokens = stretch.end_token - stretch.start_token
    line = Text(f"{sign} ", f"bold {style}")
    place = f"step {stretch.step_id}, {n_tokens} token{'s' * (n_tokens != 1)} from {stretch.start_token}"
    line.append(safe_text(f"{stretch.kind}, {place}  "), "not bold bright_black")
    line.append(_on_one_line(stretch.before), "not bold dim")
    text = stretch.text if max_chars is None else stretch.text[:max_chars]
    line.append(_on_one_line(text), f"not bold {style}")
    if len(text) < len(stretch.text):
        line.append(f" … {len(stretch.text) - len(text):,} more characters", "not bold italic")
    return line


def _on_one_line(text: str) -> str:
    return safe_text(text).replace("\n", "⏎")
