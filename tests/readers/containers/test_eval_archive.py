"""Archives of Inspect: samples stream out of a zip, deflated, stored or zstd; damage and bombs are rejects."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from raw_files import SMALL, good, read, zstd

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers.eval_archive import ZSTD

HEADER = {"version": 2, "status": "success", "eval": {"task": "files", "model": "acme/m", "created": "2026-01-01"}}


def sample(number: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Count to {number}"}, {"role": "assistant", "content": "1 " * number}]
    return {"id": number, "epoch": 1, "input": f"Count to {number}", "target": "1", "messages": messages, **more}


def archive(entries: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as writer:
        for name, content in entries.items():
            writer.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return target.getvalue()


def zstd_archive(entries: dict[str, Any], crc: int | None = None) -> bytes:
    """What Python's zipfile cannot write: entries compressed with method 93."""
    body, directory = b"", b""
    for name, content in entries.items():
        plain, encoded = json.dumps(content).encode(), name.encode()
        packed, checksum = zstd(plain), zlib.crc32(plain) if crc is None else crc
        shared = struct.pack("<5H3I2H", 63, 0, ZSTD, 0, 33, checksum, len(packed), len(plain), len(encoded), 0)
        directory += (
            b"PK\x01\x02" + struct.pack("<H", 63) + shared + struct.pack("<3H2I", 0, 0, 0, 0, len(body)) + encoded
        )
        body += b"PK\x03\x04" + shared + encoded + packed
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


ENTRIES = {
    "_journal/start.json": HEADER,
    "samples/1_epoch_1.json": sample(1),
    "samples/2_epoch_1.json": sample(2),
    "header.json": HEADER,
}


@pytest.mark.parametrize(
    "content",
    [archive(ENTRIES), archive(ENTRIES, zipfile.ZIP_STORED), zstd_archive(ENTRIES), zstd(archive(ENTRIES))],
    ids=["deflated", "stored", "zstd", "inside zstd"],
)
def test_samples_of_any_compression_become_records(content: bytes, tmp_path: Path) -> None:
    records = good(read(tmp_path / "run.eval", content))
    assert [record["id"] for record in records if record] == [1, 2]
    trajectory = TrajectoryParser().parse(records[1])
    assert (trajectory.source_format, trajectory.metadata["task"]) == ("inspect_log", "files")
    assert [step.message for step in trajectory.steps] == ["Count to 2", "1 1 "]


def test_a_run_that_did_not_end_has_its_start_as_header(tmp_path: Path) -> None:
    content = archive({"_journal/start.json": HEADER, "samples/1_epoch_1.json": sample(1)})
    assert good(read(tmp_path / "run.eval", content))[0]["eval"]["model"] == "acme/m"  # type: ignore[index]


def test_a_sample_that_was_written_twice_is_read_once(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as writer:
        writer.writestr("samples/1_epoch_1.json", json.dumps(sample(1)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            writer.writestr("samples/1_epoch_1.json", json.dumps(sample(5)))
    assert [r["id"] for r in good(read(tmp_path / "run.eval", target.getvalue())) if r] == [5]


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (archive({"header.json": HEADER}), ["broken_archive"]),
        (archive(ENTRIES)[:-30], ["broken_archive"]),
        (b"PK\x03\x04" + b"\0" * 60, ["broken_archive"]),
        (zstd_archive(ENTRIES, crc=1), ["broken_archive", "broken_archive"]),
        (archive({"samples/1.json": b"{\"id\": 1", "samples/2.json": sample(2)}), ["broken_json", ""]),
        (archive({"samples/1.json": [1], "samples/2.json": b"\xff"}), ["not_an_object", "not_utf8"]),
        (archive(ENTRIES, zipfile.ZIP_BZIP2), ["broken_archive", "broken_archive"]),
    ],
    ids=["no samples", "cut", "no zip", "bad crc", "broken json", "no object", "bzip2"],
)  # fmt: skip
def test_damage_is_named_and_other_samples_are_read(content: bytes, reasons: list[str], tmp_path: Path) -> None:
    rows = read(tmp_path / "run.eval", content)
    assert [row.reason for row in rows] == reasons
    assert all(row.message for row in rows if row.reason)


def test_every_cut_of_an_archive_is_a_reject(tmp_path: Path) -> None:
    content = archive(ENTRIES)
    for end in range(4, len(content), 37):
        assert {row.reason for row in read(tmp_path / "run.eval", content[:end])} == {"broken_archive"}


def test_flipped_bytes_never_crash(tmp_path: Path) -> None:
    for content in (archive(ENTRIES), zstd_archive(ENTRIES)):
        for place in range(4, len(content), 11):
            broken = bytearray(content)
            broken[place] ^= 0xFF
            for row in read(tmp_path / "run.eval", bytes(broken)):
                assert (row.record is None) == bool(row.reason)


def test_limits_hold_for_samples_and_archives(tmp_path: Path) -> None:
    content = archive({"samples/1.json": sample(3000), "samples/2.json": sample(2)})
    assert [row.reason for row in read(tmp_path / "run.eval", content, SMALL)] == ["record_too_large", ""]
    whole = archive({f"samples/{n}.json": sample(200) for n in range(9)})
    reasons = [row.reason for row in read(tmp_path / "run.eval", whole, ReadersConfig(max_file_bytes=2048))]
    assert reasons[-1] == "file_too_large"
    assert len(reasons) < 9


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    for content in (archive({"samples/1.json": b" " * (70 << 20)}), zstd_archive({"samples/1.json": " " * (70 << 20)})):
        limits = ReadersConfig(max_record_bytes=1 << 30)
        assert [row.reason for row in read(tmp_path / "run.eval", content, limits)] == ["compression_ratio"]


def test_a_real_archive_is_read(shared_data: Path) -> None:
    records = good(read(shared_data / "trajectories" / "inspect" / "popularity_mj7k.eval"))
    assert len(records) == 10
    assert {TrajectoryParser().parse(record).source_format for record in records} == {"inspect_log"}
