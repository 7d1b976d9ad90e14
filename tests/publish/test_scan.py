"""The scan looks at every byte that is published, says where, and never repeats what it found."""

from __future__ import annotations

import json
import random
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

pytest.importorskip("detect_secrets", reason="the extra publish is not installed")
pytest.importorskip("kingfisher_sdk", reason="the extra publish is not installed")

from deepcoder_hf.publish.bundle import Bundle
from deepcoder_hf.publish.personal import find_personal
from deepcoder_hf.publish.scan import UNREAD, scan
from tests.pipeline_runs import processor, react

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import secret_scan as benchmark

sys.path.pop(0)

SECRET = benchmark.KINDS["github classic"][1](random.Random(5))


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    return processor(tiny_model).process(Dataset.from_list(react(1, 2, 3)))


def changed(rows: Dataset, number: int, **values: Any) -> Bundle:
    table = rows.to_list()
    table[number].update(values)
    return Bundle({"train": Dataset.from_list(table, features=rows.features)})


def test_clean_rows_have_no_findings(rows: Dataset) -> None:
    report = scan(Bundle({"train": rows}), {"README.md": b"# Rows\n"})
    assert report.findings == []
    assert report.n_bytes > 1000


@pytest.mark.parametrize("column", ["text", "original_text", "metadata", "trajectory_id", "group_id"])
def test_every_string_column_is_looked_at(rows: Dataset, column: str) -> None:
    value = json.dumps({"note": SECRET}) if column == "metadata" else f"x {SECRET}"
    report = scan(changed(rows, 1, **{column: value}))
    found = [finding for finding in report.findings if finding.place == f"train:1:{column}"]
    assert [finding.kind for finding in found] == ["secret"]


def test_the_names_in_spans_are_looked_at(rows: Dataset) -> None:
    spans = rows[2]["spans"]
    spans[-1]["pattern"] = SECRET
    (finding,) = scan(changed(rows, 2, spans=spans)).findings
    assert finding.place == "train:2:spans.pattern"


def test_nested_and_binary_columns_of_the_user_are_looked_at(rows: Dataset) -> None:
    more = rows.add_column("notes", [[], [{"who": [SECRET]}], []]).add_column("raw", [b"", b"", SECRET.encode()])
    places = {finding.place for finding in scan(Bundle({"test": more})).findings}
    assert places == {"test:1:notes.who", "test:2:raw"}


@pytest.mark.parametrize("column", ["input_ids", "labels"])
def test_ids_that_say_something_else_than_the_text_are_read(rows: Dataset, tiny_model: Path, column: str) -> None:
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(tiny_model)).encode(f" token {SECRET}").ids
    (finding,) = scan(changed(rows, 0, **{column: ids})).findings
    assert finding.place == f"train:0:{column}"


def test_ids_of_an_unknown_tokenizer_stop_the_push_until_somebody_allows_them(rows: Dataset) -> None:
    facts = json.loads(rows[0]["metadata"]) | {"tokenizer": "/nowhere/tokenizer.json@0123456789abcdef"}
    bundle = changed(rows, 0, metadata=json.dumps(facts))
    (finding,) = scan(bundle).of("secret")
    assert finding.rule == UNREAD
    assert scan(bundle, allow=[finding.digest]).findings == []


def test_files_are_looked_at_by_line(rows: Dataset) -> None:
    files = {"README.md": f"# A\n\nkey {SECRET}\n".encode(), "notes/a.txt": b"mail jane.roe@corp-mail.io"}
    report = scan(Bundle({}), files)
    assert [(f.kind, f.place) for f in report.findings] == [("secret", "README.md:3"), ("personal", "notes/a.txt:1")]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in (*chunks, (b"IEND", b"")):
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(kind + body))]
    return b"".join(parts)


@pytest.mark.parametrize("chunk", [
    (b"tEXt", b"Comment\0" + SECRET.encode()),
    (b"zTXt", b"Comment\0\0" + zlib.compress(SECRET.encode())),
    (b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(SECRET.encode())),
    (b"iTXt", b"Comment\0\0\0en\0\0" + SECRET.encode()),
    (b"eXIf", b"MM\0*" + SECRET.encode() + b"\0"),
])  # fmt: skip
def test_the_texts_of_pictures_are_looked_at(chunk: tuple[bytes, bytes]) -> None:
    report = scan(Bundle({}), {"assets/a.png": png((b"IDAT", b"\0\1"), chunk)})
    assert [finding.kind for finding in report.findings] == ["secret"]
    assert scan(Bundle({}), {"assets/a.png": png((b"IDAT", b"\0\1"))}).findings == []


def test_what_follows_a_picture_is_looked_at() -> None:
    assert scan(Bundle({}), {"a.png": png() + SECRET.encode()}).findings


def test_findings_never_hold_what_was_found() -> None:
    for seed in range(2):
        for kind, _, secret, text in benchmark.planted(seed):
            report = scan(Bundle({}), {"a.txt": f"{text}\n{text}".encode()})
            assert report.findings
            core = max(secret.split("\n"), key=len)
            core = core.partition("://")[2].partition(":")[2].partition("@")[0] if "@" in core else core
            for finding in report.findings:
                assert core[-12:] not in repr(finding), kind
                assert len(finding.digest) == 16


def test_allowed_findings_are_none() -> None:
    files = {"a.txt": f"{SECRET} mail jane.roe@corp-mail.io".encode()}
    digests = [finding.digest for finding in scan(Bundle({}), files).findings]
    assert len(digests) == 2
    assert scan(Bundle({}), files, allow=digests).findings == []


@pytest.mark.parametrize(("text", "values"), [
    ("write to jane.roe@corp-mail.io.", ["jane.roe@corp-mail.io"]),
    (r'{"a": "hi\njane@corp-mail.io"}', ["jane@corp-mail.io"]),
    ("cd /home/jroe/src && ls", ["jroe"]),
    ("File \"/Users/jroe/x.py\"", ["jroe"]),
    (r"C:\Users\jroe\Desktop", ["jroe"]),
    (r'"C:\\Users\\jroe\\Desktop"', ["jroe"]),
    ("~/.claude/projects/-Users-jroe-code/x", ["jroe"]),
    ("jroe@build-box7:~/src$ make", ["jroe", "build-box7"]),
    ("[jroe@build-box7 src]$ make", ["jroe", "build-box7"]),
    ("Linux build-box7 5.15.0-91-generic #101-Ubuntu SMP", ["build-box7"]),
    ("Janes-MacBook-Pro.local", ["Janes-MacBook-Pro.local"]),
    ("DESKTOP-4F2K9QX", ["DESKTOP-4F2K9QX"]),
])  # fmt: skip
def test_personal_data_is_found(text: str, values: list[str]) -> None:
    assert [hit.value(text) for hit in find_personal(text)] == values


@pytest.mark.parametrize("text", [
    "someone@example.com", "bot@users.noreply.github.com", "git@github.com:a/b.git", "icon@2x.png", "react@18.2.0",
    "noreply@anthropic.com", "/home/user/src", "/home/runner/work", "/Users/Shared", "root@3f2a1b4c5d6e:/# ls",
    "user@localhost:~$ ls", "@app.route('/x')", r"import pytest\n\n\n@pytest.mark.parametrize(1)",
    "https://site.org/home/news", "<EMAIL_1> /home/<USER_1>/x",
    "<USER_1>@<HOST_1>:~$ ls", "a@b", "x @ y.com",
])  # fmt: skip
def test_what_is_nobodys_is_left_alone(text: str) -> None:
    assert [hit.value(text) for hit in find_personal(text)] == []


def test_real_trajectories_give_few_false_alarms(shared_data: Path) -> None:
    from deepcoder_hf.publish.secrets import secret_finder

    texts = [
        json.loads(line)["text"] for line in (shared_data / "gold_dev.jsonl").read_text("utf-8").split("\n") if line
    ]
    n_found = sum(bool(secret_finder().find(text)) for text in texts)
    assert len(texts) > 1000
    assert n_found / len(texts) <= 0.005
