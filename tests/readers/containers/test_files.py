"""Inputs: which files they name, in which order, under which name, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from raw_files import LINE, names, write

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import InputError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_folder_gives_known_files_sorted_and_skips_hidden_and_unknown_ones(tmp_path: Path) -> None:
    known = ["a.jsonl", "b/a.JSON", "b/c.d/x.ndjson.gz", "b/z.traj.zst", "c.txt", "d.parquet", "e.arrow"]
    write(tmp_path, *known, ".hidden.jsonl", ".git/x.jsonl", "README.md", "run.log", "x.gz", "model.jsonl.bak")
    files = find_files(tmp_path)
    assert names(files) == known
    assert [file.path for file in files] == [str(tmp_path / name) for name in known]


def test_a_file_named_itself_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    write(tmp_path, "run.log", ".hidden", "plain")
    assert names(find_files([tmp_path / "run.log", str(tmp_path / ".hidden"), tmp_path / "plain"])) == [
        "run.log",
        ".hidden",
        "plain",
    ]


def test_names_never_hold_the_path_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "in/a/x.jsonl")
    monkeypatch.chdir(tmp_path / "in")
    wanted = {"a": "x.jsonl", "a/x.jsonl": "x.jsonl", ".": "a/x.jsonl", "../in": "a/x.jsonl", "*/x.jsonl": "a/x.jsonl"}
    for given, name in wanted.items():
        [file] = find_files(given)
        assert file.name == name
        assert file.path == str(tmp_path / "in/a/x.jsonl")


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("*.log", ["run.log"]),
        ("*", ["a.jsonl", "b.jsonl", "c/d.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "c/d.jsonl"]),
        ("**", ["a.jsonl", "b.jsonl", "c/d.jsonl"]),
        ("[ab].jsonl", ["a.jsonl", "b.jsonl"]),
        ("c*/?.jsonl", ["c/d.jsonl"]),
    ],
)
def test_a_glob_gives_its_matches_sorted(tmp_path: Path, pattern: str, wanted: list[str]) -> None:
    write(tmp_path, "b.jsonl", "a.jsonl", "c/d.jsonl", "run.log", ".x.jsonl")
    assert names(find_files(str(tmp_path / pattern))) == wanted


def test_a_name_with_brackets_that_exists_is_no_glob(tmp_path: Path) -> None:
    write(tmp_path, "a[1].jsonl", "a1.jsonl")
    assert names(find_files(tmp_path / "a[1].jsonl")) == ["a[1].jsonl"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", "b.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "b.jsonl")
    inputs = [tmp_path / "b.jsonl", tmp_path, str(tmp_path / "*.jsonl"), tmp_path / "." / "b.jsonl"]
    assert names(find_files(inputs)) == ["b.jsonl", "a.jsonl"]


def test_namesakes_in_several_inputs_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, "one/x.jsonl", "two/x.jsonl", "two/y.jsonl")
    assert names(find_files([tmp_path / "one", tmp_path / "two"])) == ["one/x.jsonl", "two/x.jsonl", "y.jsonl"]


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    for name, content in {"a": LINE, "b": LINE, "c": LINE * 2, "empty": b""}.items():
        (tmp_path / f"{name}.jsonl").write_bytes(content)
    digests = [file.digest for file in find_files(tmp_path)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert all(len(digest) == 32 for digest in digests)


def test_a_folder_of_save_to_disk_is_one_input(tmp_path: Path) -> None:
    dataset = Dataset.from_list([{"n": 1}, {"n": 2}])
    dataset.save_to_disk(tmp_path / "data/one")
    DatasetDict({"train": dataset}).save_to_disk(tmp_path / "data/dict")
    write(tmp_path, "data/a.jsonl")
    assert names(find_files(tmp_path / "data")) == ["a.jsonl", "dict", "one"]
    assert names(find_files(tmp_path / "data/one")) == ["one"]
    before = find_files(tmp_path / "data/one")[0].digest
    next((tmp_path / "data/one").glob("*.arrow")).write_bytes(b"changed")
    assert find_files(tmp_path / "data/one")[0].digest != before


def test_a_file_name_that_is_not_utf8_gets_a_name_that_a_row_can_store(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"a\xff.jsonl")
    try:
        with open(path, "wb") as file:
            file.write(LINE)
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    [found] = find_files(tmp_path)
    assert found.name == "a\ufffd.jsonl"
    assert [row.record for row in iter_records(found, ReadersConfig())] == [{"n": 1}]


def test_an_input_file_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl")
    files = find_files(tmp_path)
    assert pickle.loads(pickle.dumps(files)) == files


# --- stdin and pipes -------------------------------------------------------------------------------------------------


def test_stdin_is_spooled_to_a_file_that_ends_with_the_process(tmp_path: Path) -> None:
    code = (
        "from deepcoder_hf.readers.containers.files import find_files\n"
        "from deepcoder_hf.readers.containers import iter_records\n"
        "from deepcoder_hf.config import ReadersConfig\n"
        "files = find_files(['-', '-'])\n"
        "print(files[0].name, [r.record for f in files for r in iter_records(f, ReadersConfig())])\n"
        "print(files[0].path)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=gzip.compress(LINE * 2), capture_output=True, check=True, timeout=60
    )
    shown, path = result.stdout.decode().splitlines()
    assert shown == "stdin [{'n': 1}, {'n': 1}]"
    assert not os.path.exists(path)


def test_a_closed_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    with pytest.raises(InputError, match="closed stdin"):
        find_files("-")


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs /dev/fd")
def test_a_pipe_can_be_named_although_it_is_read_twice() -> None:
    reader, writer = os.pipe()
    os.write(writer, LINE)
    os.close(writer)
    [file] = find_files(f"/dev/fd/{reader}")
    os.close(reader)
    assert [row.record for row in iter_records(file, ReadersConfig())] == [{"n": 1}]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "empty list"),
        ("", "empty path"),
        ("missing.jsonl", r"'missing\.jsonl' which does not exist"),
        (["missing"], "does not exist"),
        ("missing-*.jsonl", r"match 'missing-\*\.jsonl', got none"),
        ("nothing", "got no file; check the path"),
        ("notes", "1 files of other suffixes"),
        ("a\0b", "does not exist"),
        ("a.jsonl/b", "does not exist"),
        ("x" * 5000, "File name too long|does not exist"),
        ("nosuch://bucket/a.jsonl", "nosuch"),
        ("zip://a.jsonl::b.zip", "chained"),
        ("memory://nowhere/a.jsonl", "does not exist"),
    ],
)
def test_an_input_that_names_nothing_is_one_line_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a.jsonl", "notes/README.md")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=message) as raised:
        find_files(given)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("expected ")
    assert type(pickle.loads(pickle.dumps(raised.value))) is InputError


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("given", ["a.jsonl", "folder", "*.jsonl"])
def test_what_may_not_be_read_is_refused(tmp_path: Path, given: str) -> None:
    write(tmp_path, "a.jsonl", "folder/b.jsonl")
    (tmp_path / "a.jsonl").chmod(0)
    (tmp_path / "folder").chmod(0)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            find_files(str(tmp_path / given))
    finally:
        (tmp_path / "folder").chmod(0o755)


@pytest.mark.parametrize("kind", ["file", "folder", "nested", "dangling"])
def test_a_link_out_of_an_input_folder_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "in/a.jsonl", "in/b/c.jsonl", "out/secret.jsonl")
    link = tmp_path / {"file": "in/x.jsonl", "folder": "in/x", "nested": "in/b/x.jsonl", "dangling": "in/x.jsonl"}[kind]
    target = tmp_path / {"folder": "out", "dangling": "in/missing"}.get(kind, "out/secret.jsonl")
    link.symlink_to(target)
    with pytest.raises(InputError) as raised:
        find_files(tmp_path / "in")
    assert repr(str(link)) in str(raised.value)
    assert repr(str(target)) in str(raised.value)
    if kind == "file":
        with pytest.raises(InputError, match="symlink"):
            find_files(str(tmp_path / "in/*.jsonl"))
        assert names(find_files(link)) == ["x.jsonl"]


def test_a_link_out_of_a_folder_of_save_to_disk_is_refused(tmp_path: Path) -> None:
    Dataset.from_list([{"n": 1}]).save_to_disk(tmp_path / "in/one")
    write(tmp_path, "out.arrow")
    (tmp_path / "in/one/x.arrow").symlink_to(tmp_path / "out.arrow")
    for given in ("in", "in/one"):
        with pytest.raises(InputError, match="symlink"):
            find_files(tmp_path / given)


def test_links_inside_a_folder_are_followed_once_and_cycles_end(tmp_path: Path) -> None:
    write(tmp_path, "a/x.jsonl", ".store/y.jsonl", "README.md")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "0link.jsonl").symlink_to("a/x.jsonl")
    (tmp_path / "b").symlink_to(".store")
    (tmp_path / "outside.md").symlink_to("/etc/hostname")
    found = find_files(tmp_path)
    assert len(found) == 2
    assert names(found)[-1] == "b/y.jsonl"
