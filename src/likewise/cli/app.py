"""The commands, and what happens when one of them fails."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from likewise.cli import calibrate, data, demo, encode, evaluate, map_, models, train, verify
from likewise.cli.console import say
from likewise.errors import LikewiseError

INTERRUPTED = 130  # the shell's own status for Ctrl-C

app = typer.Typer(
    name="likewise",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help is there twice as fast
    pretty_exceptions_enable=False,
    help='Learn what "the same" means from your own labelled examples, and get an answer you can trust.',
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(installed("likewise"))  # noqa: T201
        raise typer.Exit


for module in (demo, data, models, train, evaluate, calibrate, verify, encode, map_):
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and leaves with its exit status: 0 yes or done, 1 no, 2 wrong use, 3 bad data or model."""
    # Pillow's remarks on odd but readable files are not for the user, who cannot act on them.
    warnings.filterwarnings("ignore", module="PIL")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *(a for a in given if a != "--debug")] if debug else given  # wherever it was written
    try:
        status = app(args=given, standalone_mode=False)
    except LikewiseError as error:
        _fail(str(error), error.status, debug)
    except KeyboardInterrupt:
        _fail("stopped", INTERRUPTED, debug=False)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # typer's own: wrong use
            error.show()  # type: ignore[attr-defined]
            sys.exit(error.exit_code)  # type: ignore[attr-defined]
        kind = type(error).__name__
        _fail(f"{kind}: {error}. This is a fault in likewise; run again with --debug to see where.", 3, debug)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(text: str, status: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    say(f"likewise: {' '.join(text.split())}")
    sys.exit(status)
