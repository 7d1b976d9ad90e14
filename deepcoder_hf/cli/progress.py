"""The progress bar of a run, on stderr: records, rows and tokens a second, and the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace


@contextmanager
def progress_bar(quiet: bool) -> Iterator[SimpleNamespace]:
    """Show a bar while the block runs.

    Yields:
        `on_read(records)`, to be called when the number of records is known, and `advance(records, tokens)`, after each
        shard.
    """
    if quiet:
        yield SimpleNamespace(on_read=lambda records: None, advance=lambda records, tokens: None)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from deepcoder_hf.view.terminal import console

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    stderr = console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("reading", total=None, speed="")
        n_tokens = 0

        def on_read(records: int) -> None:
            progress.reset(task, total=records, description="working")

        def advance(records: int, tokens: int) -> None:
            nonlocal n_tokens
            n_tokens += tokens
            progress.advance(task, records)
            state = progress.tasks[0]
            seconds = max(state.elapsed or 0.0, 1e-9)
            speed = f"{state.completed / seconds:,.0f} rows/s {n_tokens / seconds:,.0f} tokens/s"
            progress.update(task, speed=speed)

        yield SimpleNamespace(on_read=on_read, advance=advance)
