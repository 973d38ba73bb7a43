"""The commands, and what happens when one of them fails."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from likewise.cli.console import INTERRUPTED, say
from likewise.errors import CollapseWarning, DataError, LikewiseError

# Command -> its module in this package, in the order of the help.
_MODULES = {
    "demo": "demo", "data": "data", "models": "models", "import": "import_", "train": "train", "evaluate": "evaluate",
    "calibrate": "calibrate", "verify": "verify", "classify": "classify", "detect": "detect", "encode": "encode",
    "map": "map_", "enrol": "enrol", "identify": "identify", "forget": "forget", "gallery": "gallery_",
    "cluster": "cluster", "search": "search", "study": "study", "inspect": "inspect_", "style": "style",
    "voices": "voices", "synthesize": "synthesize", "listen": "listen", "export": "export", "serve": "serve",
    "tokens": "tokens",
}  # fmt: skip


def make_app(command: str | None = None) -> typer.Typer:
    """The command line, with one command or, by default, with all.

    What a command takes is looked up in its signature, which for all of them is most of the time that help takes.
    """
    app = typer.Typer(
        name="likewise",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help is there twice as fast
        pretty_exceptions_enable=False,
        help='Learn what "the same" means from your own labelled examples, and get an answer you can trust.',
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for module in _MODULES.values() if command is None else [_MODULES[command]]:
        import_module(f"likewise.cli.{module}").register(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("likewise"))  # noqa: T201
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command; `main` looks at --debug, wherever it is written."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and leaves with its exit status: 0 yes or done, 1 no, 2 wrong use, 3 bad data or model."""
    # Pillow's remarks on odd but readable files are not for the user, who cannot act on them. A collapse is among the
    # notes that training ends with.
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", category=CollapseWarning)
    warnings.showwarning = _warn
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *(a for a in given if a != "--debug")] if debug else given  # wherever it was written
    named = next((one for one in given if not one.startswith("-")), None)
    try:
        status = make_app(named if named in _MODULES else None)(args=given, prog_name="likewise", standalone_mode=False)
    except LikewiseError as error:
        _fail(str(error), error.status, debug)
    except OSError as error:  # what no package has said in its own words
        _fail(str(DataError("Files can be read and written", error, "Check names and permissions.")), 3, debug)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: wrong use
            _refuse(error, debug)
        kind = type(error).__name__
        _fail(f"{kind}: {error}. This is a fault in likewise; run again with --debug to see where.", 3, debug)
    if status == INTERRUPTED:  # which is what typer makes of Ctrl-C
        _fail("stopped", INTERRUPTED, debug=False)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(error: Any, debug: bool) -> NoReturn:
    text, context = error.format_message(), getattr(error, "ctx", None)
    if text.startswith("Usage:"):  # a group of commands, and none of them: its help
        say(text)
        sys.exit(error.exit_code)
    where = context.command_path if context else "likewise"
    text = text.replace("Value error, ", "")  # the words of the library that checks values
    _fail(f"{text.rstrip('.')}. Try `{where} --help`.", error.exit_code, debug)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, without the place in the code."""
    say(" ".join(str(message).split()))


def _fail(text: str, status: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    say(f"likewise: {' '.join(text.split())}")
    sys.exit(status)
