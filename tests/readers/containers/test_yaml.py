"""YAML: documents become records, scalars stay what they are, and no file can cost more than its size."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers.containers import RawRecord, iter_records
from deepcoder_hf.readers.containers.files import find_files

LIMITS = ReadersConfig()


def read(folder: Path, content: str | bytes, limits: ReadersConfig = LIMITS, name: str = "a.yaml") -> list[RawRecord]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    (file,) = find_files(folder)
    return list(iter_records(file, limits))


def reasons(found: list[RawRecord]) -> list[str]:
    return [raw.reason for raw in found]


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.YAML"])
def test_documents_are_records_with_the_line_that_they_begin_at(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, "---\na: 1\n---\n# a comment\nb: é\n...\n", name=name)
    assert [(raw.line, raw.record) for raw in found] == [(2, {"a": 1}), (4, {"b": "é"})]


def test_compressed_yaml_is_read(tmp_path: Path) -> None:
    assert [raw.record for raw in read(tmp_path, gzip.compress(b"a: 1\n"), name="a.yaml.gz")] == [{"a": 1}]


@pytest.mark.parametrize(
    ("content", "records"),
    [
        ("- {a: 1}\n- {b: 2}\n", [{"a": 1}, {"b": 2}]),
        ("- role: user\n  content: q\n- role: assistant\n  content: a\n",
         [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}]),
        ('{"a": [1, null]}', [{"a": [1, None]}]),
        ("\ufeffa: 1", [{"a": 1}]),
        ("", []),
        ("# nothing\n---\n", []),
    ],
)  # fmt: skip
def test_lists_and_json_are_records_too(tmp_path: Path, content: str, records: list[Any]) -> None:
    assert [raw.record for raw in read(tmp_path, content)] == records


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("no", "no"), ("on", "on"), ("12:30:45", "12:30:45"), ("2026-01-31", "2026-01-31"), ("010", "010"),
        ("1_000", "1_000"), ("1e3", "1e3"), ("true", True), ("~", None), ("", None), ("-7", -7), ("1.5", 1.5),
        (".inf", "Infinity"), (".nan", "NaN"), ("!!binary aGk=", "hi"), ("!!binary H4sI/w==", "H4sI/w=="),
        ("!!timestamp 2026-01-31", "2026-01-31"), ("!!set {a, b}", ["a", "b"]), ("|\n  a\n   b\n", "a\n b\n"),
        ("'no'", "no"),
    ],
)  # fmt: skip
def test_scalars_are_what_the_core_schema_says(tmp_path: Path, scalar: str, expected: Any) -> None:
    (found,) = read(tmp_path, f"a: {scalar}")
    assert found.record == {"a": expected}, found.message


def test_keys_are_texts_and_merged_and_shared_values_are_read(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "1: a\ntrue: b\nbase: &b {x: 1}\nnew: {<<: *b, y: 2}\nlist: [*b, *b]\n")
    shared = {"x": 1}
    assert found.record == {"1": "a", "true": "b", "base": shared, "new": {"x": 1, "y": 2}, "list": [shared, shared]}


BOMB = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, "yaml_alias_bomb"),
        ("a: &a [*a]", "yaml_alias_bomb"),
        ("a: *b", "yaml_alias_bomb"),
        ("[" * 300 + "]" * 300, "yaml_too_deep"),
        ("- " * 300 + "a", "yaml_too_deep"),
        ("a: &a [[[[[[[[[[1]]]]]]]]]]\nb: " + "[" * 195 + "*a" + "]" * 195, "yaml_too_deep"),
        ("[" * 500_000, "yaml_too_deep"),
        ("a: [1", "broken_yaml"),
        ("a: !!python/object/apply:os.system [ls]", "broken_yaml"),
        ("a: !!int x", "broken_yaml"),
        ("? [a, b]\n: c", "broken_yaml"),
        ("a: \x07", "broken_yaml"),
        (f"a: {'9' * 5000}", "integer_too_long"),
        (b"a: \xff", "not_utf8"),
        ("just words", "not_an_object"),
        ("[1, 2]", "not_an_object"),
    ],
)
def test_what_cannot_be_read_is_a_reject_with_its_reason(tmp_path: Path, content: str | bytes, reason: str) -> None:
    before = time.process_time()
    found = read(tmp_path, content)
    assert reasons(found) == [reason]
    assert found[0].message.startswith("a.yaml:")
    assert time.process_time() - before < 5.0


def test_what_stands_before_a_broken_document_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, "a: 1\n---\n- 1\n---\nb: 2\n")
    assert [(raw.record, raw.reason) for raw in found] == [({"a": 1}, ""), (None, "not_an_object"), ({"b": 2}, "")]


def test_a_file_that_is_too_large_is_a_reject(tmp_path: Path) -> None:
    found = read(tmp_path, "a: " + "x" * 5000, ReadersConfig(max_record_bytes=4096))
    assert reasons(found) == ["record_too_large"]


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"a: 1\n" * 1)
    assert reasons(read(tmp_path, whole[:-6], name="a.yml.gz")) == ["truncated_file"]


# PyYAML itself writes U+0085, which YAML 1.1 takes for a line break, in a way that does not come back.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(record=st.dictionaries(texts, values, min_size=1, max_size=4))
def test_what_pyyaml_writes_is_read_as_it_was(record: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    written = yaml.safe_dump(record, allow_unicode=True)
    (found,) = read(tmp_path_factory.mktemp("yaml"), written)
    assert found.record == record, found.message


def test_the_bytes_of_a_file_may_be_anything(tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = b"interactions:\n- request: {body: '{\"a\": 1}', n: 1.5}\n  response: &r {x: [1, two]}\n- *r\n"
    for at in range(len(whole)):
        for byte in (b"", b"\x00", b"&", b"*", b"[", b"{", b"\t", b"\xc3", b"!"):
            found = read(tmp_path_factory.mktemp("bytes"), whole[:at] + byte + whole[at + 1 :])
            assert all(raw.record is not None or raw.reason for raw in found)
