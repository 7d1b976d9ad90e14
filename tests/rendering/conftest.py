"""Templates for the tests: the real Qwen3 one of the shared data, and files written in the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def qwen3(shared_data: Path) -> Path:
    """The real tokenizer with its own template, which deletes the reasoning of turns before the last user's."""
    return shared_data / "tokenizers" / "qwen3"


@pytest.fixture
def template(tmp_path: Path) -> Any:
    """Writes a template file; the tokenizer stays the bundled one."""

    def write(text: str) -> dict[str, Any]:
        path = tmp_path / "chat.jinja"
        path.write_text(text, encoding="utf-8")
        return {"template": str(path)}

    return write
