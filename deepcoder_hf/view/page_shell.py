"""The frame of every HTML page: style and script inlined, and a policy that lets nothing else run or load."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from deepcoder_hf.errors import OutputError
from deepcoder_hf.view.page_signs import visible

SCRIPTS = ("page.js", "page_row.js", "page_list.js")
"""Files of the script of a page with trajectories, in the order in which they are put together."""


def page_with(
    body: str, title: str, values: Mapping[str, Any], data: Mapping[str, str] | None = None, scripts: Sequence[str] = ()
) -> str:
    """One self-contained HTML page.

    Args:
        body: Name of the template of its body, which escapes every value.
        title: Title of the page.
        values: What the template takes.
        data: Id -> what the script reads from the page, in base64.
        scripts: Files of the script; none for a page without scripts.

    Returns:
        The page. Its policy is `default-src 'none'`, with the digests of its one style and its one script; no HTML
        can be made from strings in it (`require-trusted-types-for`).
    """
    from jinja2 import Environment, FunctionLoader
    from markupsafe import Markup

    environment = Environment(loader=FunctionLoader(source_of), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = visible
    style, script = source_of("page.css"), "".join(source_of(name) for name in scripts)
    return environment.get_template("page.html").render(
        title=title,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=dict(data or {}),
        body=Markup(environment.get_template(body).render(values)),
    )


def source_of(name: str) -> str:
    """A file of this package, as it stands in a page."""
    return (resources.files("deepcoder_hf.view") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    parts = ["default-src 'none'", f"style-src {_digest(style)}", "base-uri 'none'", "form-action 'none'"]
    if script:
        parts += [f"script-src {_digest(script)}", "require-trusted-types-for 'script'", "trusted-types 'none'"]
    return "; ".join(parts)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def write_html(page: str, path: Path) -> None:
    """Write a page under its name when it is complete.

    Raises:
        OutputError: The file cannot be written, or it exists and is no page: the dataset itself, perhaps.
    """
    if path.is_file() and path.stat().st_size and not path.read_bytes()[:9].lower().startswith(b"<!doctype"):
        raise OutputError(f"{path} exists and is no page; it is not replaced: name another file")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "is a folder")
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.absolute().parent, prefix=f".{path.name}.", delete=False
        ) as file:
            staged = Path(file.name)
        try:
            staged.write_text(page, encoding="utf-8", newline="\n")
            umask = os.umask(0)
            os.umask(umask)
            staged.chmod(0o666 & ~umask)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; name another file") from None
