"""The command `deepcoder-hf`: its subcommands, and how errors become one line and an exit code.

Exit codes: 0 success, 1 the data failed the check, 2 wrong usage, configuration, input or output, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

COMMANDS = {
    "demo": "deepcoder_hf.cli.demo",
    "process": "deepcoder_hf.cli.process",
    "validate": "deepcoder_hf.cli.validate",
    "inspect": "deepcoder_hf.cli.inspect",
    "evaluate": "deepcoder_hf.cli.evaluate",
    "audit": "deepcoder_hf.cli.audit",
    "export": "deepcoder_hf.cli.export",
    "report": "deepcoder_hf.cli.report",
    "publish": "deepcoder_hf.cli.publish",
    "cluster": "deepcoder_hf.cli.cluster",
}
SETUP_ERRORS = ("ConfigError", "InputError", "OutputError", "TokenizerError", "SchemaError", "PublishError")


class Commands(click.Group):
    """Imports a command when it is called; heavy packages are imported inside the commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what goes wrong on purpose is said in one line."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a character shows its escape
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _say("interrupted; what is finished is kept in the cache: run the same command again to go on")
            ctx.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            code = _exit_code(error)
            if code is None:
                raise
            if not isinstance(error, BrokenPipeError):  # the reader has gone: nothing can be said, nothing is wrong
                _say(_one_line(error))
            ctx.exit(code)


def _exit_code(error: Exception) -> int | None:
    """2 for a wrong setup, 1 for other errors of ours and of the operating system, None for a bug."""
    from deepcoder_hf.errors import DeepcoderError

    if any(base.__name__ in SETUP_ERRORS for base in type(error).__mro__):
        return 2
    if isinstance(error, BrokenPipeError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # what is still buffered has nowhere to go
        return 1
    return 1 if isinstance(error, DeepcoderError | OSError) else None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and not type(error).__module__.startswith("deepcoder_hf"):
        place = f" ({error.filename})" if error.filename else ""
        if error.errno == errno.ENOSPC:
            return f"the disk is full{place}; what is finished is kept in the cache: free some space and run again"
        return f"{error.strerror or error}{place}"
    return str(error)


def _say(message: str) -> None:
    from deepcoder_hf.view.safe import safe_text

    for line in safe_text(message).splitlines():
        click.echo(f"error: {line}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="deepcoder-hf", prog_name="deepcoder-hf")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Agent trajectories to token-exact training rows for Structured Agent Distillation.

    \b
    Example:
      deepcoder-hf demo
      deepcoder-hf process --input runs/ --output sad/ --config qwen3
      deepcoder-hf inspect sad/
    """
