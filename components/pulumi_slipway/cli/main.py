"""`slipway COMMAND`: one question to the agent of a stack's server, over the connection that the stack pins."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..app.origin import who_and_when
from . import show
from .stack import StackError, reach

app = typer.Typer(
    help="What is on the server of a Pulumi stack made with Slipway, and back to an earlier release.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack; default: the selected one.")]
Folder = Annotated[Path, typer.Option("--cwd", help="The folder of the Pulumi project.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the agent's answer as it is.")]
HERE = Path()


@app.command()
def releases(stack: Stack = None, cwd: Folder = HERE, as_json: AsJson = False) -> None:
    """The releases on the server: which is live, which were good, of whom, from which commit, how long they took."""
    answer = reach(stack, cwd).ask("releases")
    _print(answer, as_json, show.releases_table(answer["releases"], time.time()))


@app.command()
def rollback(
    release: Annotated[
        str | None, typer.Argument(help="Its id; default: the last good one before the live one.")
    ] = None,
    stack: Stack = None,
    cwd: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Make an earlier release live again, with its own code, variables and processes; the database stays as it is.

    The release that is left counts as bad from then on: no later rollback chooses it. The next `pulumi preview` shows
    it, and `pulumi up` goes where the source says.
    """
    document = {"message": who_and_when(), **({"release": release} if release else {})}
    answer = reach(stack, cwd).ask("rollback", document, lambda line: print(line, file=sys.stderr, flush=True))
    _print(answer, as_json, f"{answer['release']} is live")


@app.command()
def journal(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=200, help="How many entries.")] = 20,
    stack: Stack = None,
    cwd: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """What was done on the server, by whom, and how it went."""
    answer = reach(stack, cwd).ask("journal", {"lines": lines})
    _print(answer, as_json, show.journal_table(answer["entries"], time.time()))


@app.command()
def status(stack: Stack = None, cwd: Folder = HERE, as_json: AsJson = False) -> None:
    """How the app is: its release, its processes, its certificate."""
    answer = reach(stack, cwd).ask("status")
    _print(answer, as_json, *show.status_lines(answer, time.time()))


@app.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=5000, help="How many lines.")] = 50,
    process: Annotated[str, typer.Option("--process", "-p", help="A worker, or a command of cron.")] = "web",
    stack: Stack = None,
    cwd: Folder = HERE,
) -> None:
    """The last lines that the live release wrote; values of variables are blotted out."""
    reach(stack, cwd).ask("logs", {"lines": lines, "process": process}, lambda line: print(line, flush=True))


def _print(answer: dict[str, Any], as_json: bool, *shown: Any) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for part in shown:
        console.print(part)


def main() -> None:
    try:
        app()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
