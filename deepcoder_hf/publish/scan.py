"""Look at every byte that would be published, and name secrets and personal data in it without repeating them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import pyarrow as pa

from deepcoder_hf.publish.bundle import Bundle, Finding, ScanReport
from deepcoder_hf.publish.personal import find_personal
from deepcoder_hf.publish.scan_files import file_texts
from deepcoder_hf.publish.scan_ids import IdReader
from deepcoder_hf.publish.secrets import Hit, secret_finder

BATCH_ROWS = 256
AROUND = 24
"""Characters of the surroundings on each side of a masked excerpt."""
UNREAD = "token ids that could not be read"
Kind = Literal["secret", "personal"]


def scan(bundle: Bundle, files: Mapping[str, bytes] = MappingProxyType({}), allow: Collection[str] = ()) -> ScanReport:
    """Scan a bundle and the files beside it.

    Looked at: every string of every column (text, original_text, metadata, ids, the names in spans, columns of the
    user's own), what input_ids and labels decode to where that is not the text, the names of splits, the report, the
    files, and the texts that pictures carry.

    Args:
        bundle: What is to be published.
        files: Content by path: README.md, pictures, ...
        allow: Digests of findings that somebody has looked at.

    Returns:
        Findings in the order of their places, none of which holds what was found. Ids of a tokenizer that cannot be
        loaded are a finding of their own (rule `token ids that could not be read`), once a tokenizer: it stops the push
        as a secret does.

    Raises:
        ConfigError: The extra `publish` is not installed.
    """
    looked = _Look(frozenset(allow))
    for split, dataset in bundle.splits.items():
        looked.at(f"{split}", [split], [0])
        _scan_split(looked, split, dataset)
    for name, data in files.items():
        looked.n_bytes += len(data)
        for place, text in file_texts(name, data):
            looked.at_lines(place, text)
        looked.at_lines(name, name)
    return ScanReport(looked.findings, looked.n_bytes)


def hits_of(text: str) -> list[tuple[Kind, Hit]]:
    """Secrets and personal data of a text in order; personal data inside of a secret is part of that."""
    secrets = secret_finder().find(text)
    found: list[tuple[Kind, Hit]] = [("secret", hit) for hit in secrets]
    for hit in find_personal(text):
        if not any(hit.start < other.end and other.start < hit.end for other in secrets):
            found.append(("personal", hit))
    return sorted(found, key=lambda pair: pair[1].start)


def digest_of(value: str) -> str:
    """How a finding is named without being told: the beginning of its SHA-256."""
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


class _Look:
    """Collects findings.

    Args:
        allow: Digests that are no findings.
    """

    def __init__(self, allow: frozenset[str]) -> None:
        self.findings: list[Finding] = []
        self.n_bytes = 0
        self._allow = allow

    def at(self, place: str, texts: Sequence[str | None], rows: Sequence[int]) -> None:
        """Look at the strings of a column, each distinct one once.

        Args:
            place: `{}` in it stands for the number of the row.
            texts: The strings.
            rows: The row of each.
        """
        known: dict[str, list[tuple[Kind, Hit]]] = {}
        for text, row in zip(texts, rows, strict=True):
            if not text:
                continue
            if text not in known:
                known[text] = hits_of(text)
            for number, (kind, hit) in enumerate(known[text]):
                beside = [other for _, other in known[text][max(0, number - 12) : number + 13]]
                self._add(kind, hit.rule, place.replace("{}", str(row)), text, hit, beside)

    def at_lines(self, place: str, text: str) -> None:
        """Look at a file; places are lines from 1."""
        found = hits_of(text)
        for kind, hit in found:
            line = text.count("\n", 0, hit.start) + 1
            self._add(kind, hit.rule, f"{place}:{line}", text, hit, [other for _, other in found])

    def unread(self, split: str, column: str, problems: Mapping[str, str]) -> None:
        """Say which ids could not be looked at."""
        for identity, problem in problems.items():
            digest = digest_of(f"{UNREAD}:{identity}")
            if digest not in self._allow:
                self.findings.append(Finding("secret", UNREAD, f"{split}:{column}", problem, digest))

    def _add(self, kind: Kind, rule: str, place: str, text: str, hit: Hit, beside: Sequence[Hit]) -> None:
        digest = digest_of(hit.value(text))
        if digest not in self._allow:
            self.findings.append(Finding(kind, rule, place, _excerpt(text, hit, beside), digest))


def _excerpt(text: str, hit: Hit, beside: Sequence[Hit]) -> str:
    """The surroundings of a hit, in which it and its neighbours are asterisks."""
    start, end = max(0, hit.start - AROUND), min(len(text), hit.end + AROUND)
    shown = list(text[start:end])
    for other in beside:
        for at in range(max(start, other.start), min(end, other.end)):
            shown[at - start] = "*"
    inside = hit.end - hit.start
    if inside > 8:
        shown[hit.start - start : hit.end - start] = list("*" * 8)
    line = "".join(shown)
    value = hit.value(text)
    if value in line:  # the same value once more beside it
        line = line.replace(value, "*" * 8)
    return "".join(char if char.isprintable() else " " for char in line)


def _scan_split(looked: _Look, split: str, dataset: Any) -> None:
    reader = IdReader()
    for name in dataset.column_names:
        looked.at(f"{split}:columns", [name], [0])
    first = 0
    for table in dataset.with_format("arrow").iter(batch_size=BATCH_ROWS):
        looked.n_bytes += table.nbytes
        for path, texts, rows in _texts(table, reader):
            looked.at(f"{split}:{{}}:{path}", texts, [first + row for row in rows])
        first += table.num_rows
    looked.unread(split, "input_ids", reader.problems)


def text_of_rows(dataset: Any) -> Iterator[tuple[int, str]]:
    """(row, text) of everything of a split that `scan` looks at, in the order of the rows."""
    reader, first = IdReader(), 0
    for table in dataset.with_format("arrow").iter(batch_size=BATCH_ROWS):
        for _, texts, rows in _texts(table, reader):
            yield from ((first + row, text) for text, row in zip(texts, rows, strict=True) if text)
        first += table.num_rows


def _texts(table: pa.Table, reader: IdReader) -> Iterator[tuple[str, Sequence[str | None], Sequence[int]]]:
    """(path, strings, row of each) of a batch: every column, and what ids say beside the text."""
    for name in table.column_names:
        yield from _strings(name, table.column(name))
    columns = [name for name in ("input_ids", "labels") if name in table.column_names]
    if not {"metadata", "text", "input_ids"} <= set(table.column_names):
        return
    values = {name: _rows(table.column(name)) for name in ("metadata", "text", *columns)}
    for name in columns:
        yield name, reader.differing(values, name), range(table.num_rows)


def _rows(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; lists of numbers as NumPy arrays."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return [None if not value.is_valid else value.values.to_numpy(zero_copy_only=False) for value in column]
    values: list[Any] = column.to_pylist()
    return values


def _strings(path: str, column: Any) -> Iterator[tuple[str, list[str | None], list[int]]]:
    """(path, strings, row of each) of everything textual in a column, however deep; equal strings of a list once."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        return
    yield from _inside(path, array, list(range(len(array))))


def _inside(path: str, array: Any, rows: list[int]) -> Iterator[tuple[str, list[str | None], list[int]]]:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        seen: dict[tuple[str | None, int], None] = dict.fromkeys(zip(array.to_pylist(), rows, strict=True))
        yield path, [text for text, _ in seen], [row for _, row in seen]
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield path, [None if data is None else data.decode("utf-8", "replace") for data in array.to_pylist()], rows
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _inside(f"{path}.{kind.field(number).name}", array.field(number), rows)
    elif pa.types.is_dictionary(kind):
        yield from _inside(path, array.dictionary_decode(), rows)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if not _is_textual(kind.value_type):
            return
        parents = array.value_parent_indices() if hasattr(array, "value_parent_indices") else None
        if parents is None:
            import pyarrow.compute as pc

            parents = pc.list_parent_indices(array)
        yield from _inside(path, array.flatten(), [rows[parent] for parent in parents.to_pylist()])


def _is_textual(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_is_textual(kind.field(number).type) for number in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_textual(kind.value_type)
    return not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
