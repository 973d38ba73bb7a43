"""Checks the documentation (`make docs`): links lead somewhere, `likewise` lines parse, Python blocks run.

With `--pictures` what the blocks draw takes the place of the pictures that the pages show.

The tests use the same functions, so that a page that is wrong fails there too.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = (*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(ROOT.glob("docs/*.md")))

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}(.*)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
END_OF_COMMAND = re.compile(r"\s(?:[|>&;#]|&&).*")  # what follows is the shell's


def faults(page: Path) -> list[str]:
    """Links that lead nowhere and `likewise` lines that the program would refuse, as `file:line: what`."""
    found = sorted([*_links(page), *_commands(page)])
    return [f"{page.relative_to(ROOT)}:{line}: {what}" for line, what in found]


def run(page: Path, folder: Path) -> int:
    """Runs the Python blocks of a page from top to bottom in one namespace, in `folder`; returns how many there are."""
    text, namespace, blocks = page.read_text(encoding="utf-8"), {"__name__": "__main__"}, 0
    with contextlib.chdir(folder):
        for block in FENCED.finditer(text):
            if block[1] == "python":
                above = "\n" * (_line(text, block.start()))  # so that a traceback names the line of the page
                exec(compile(above + block[2], page, "exec"), namespace)
                blocks += 1
    return blocks


def pictures(page: Path) -> list[Path]:
    """The pictures that a page shows and its own code draws, by the name the page has for them."""
    text = page.read_text(encoding="utf-8")
    code = "".join(block[2] for block in FENCED.finditer(text) if block[1] == "python")
    return [page.parent / shown for shown in PICTURE.findall(text) if f'"{Path(shown).name}"' in code]


def _links(page: Path) -> Iterator[tuple[int, str]]:
    text = page.read_text(encoding="utf-8")
    prose = INLINE.sub(_blank, FENCED.sub(_blank, text))
    for link in LINK.finditer(prose):
        target, _, anchor = link[1].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / target) if target else page
        if not file.exists():
            yield _line(text, link.start()), f"no file {target}"
        elif anchor and anchor not in _anchors(file):
            yield _line(text, link.start()), f"no heading #{anchor} in {file.name}"


def _anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCED.sub(_blank, page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(page: Path) -> Iterator[tuple[int, str]]:
    text = page.read_text(encoding="utf-8")
    prose = FENCED.sub(_blank, text)
    shell = [(block.start(2), block[2]) for block in FENCED.finditer(text) if block[1] in ("", "sh", "console")]
    for start, code in (*shell, *((line.start(1), line[1]) for line in INDENTED.finditer(prose))):
        for line in re.finditer(r"^(?:\$ )?(likewise .*)$", code.replace("\\\n", "  "), re.MULTILINE):
            if why := refusal(line[1]):
                yield _line(text, start + line.start()), f"{line[1]}: {why}"
    for span in INLINE.finditer(INDENTED.sub(_blank, prose)):
        if span[1].startswith("likewise ") and (why := refusal(span[1], whole=False)):
            yield _line(text, span.start()), f"{span[1]}: {why}"


@functools.cache
def _command_line() -> Any:
    import typer

    from likewise.cli.app import make_app

    return typer.main.get_command(make_app())


def refusal(line: str, *, whole: bool = True) -> str | None:
    """Why the program would refuse this command line before doing anything; None if it would not.

    Args:
        line: begins with `likewise`.
        whole: whether all that the command needs must be there; else only what is there must be right.
    """
    words = [word for word in shlex.split(END_OF_COMMAND.sub("", line))[1:] if word != "--debug"]
    command = _command_line()
    while subcommands := getattr(command, "commands", None):
        name = next((word for word in words if not word.startswith("-")), None)
        if name is None:
            return None  # the options of likewise itself
        if name not in subcommands:
            return f"no command {name}"
        words.remove(name)
        command = subcommands[name]
    if "--help" in words:
        return None
    if not whole:
        known = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in words if word.startswith("-") and word not in known]
        return f"no option {unknown[0]}" if unknown else None
    try:
        command.make_context(command.name, words)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises on wrong use has it
            raise
        return error.format_message()
    return None


def _blank(match: re.Match[str]) -> str:
    """As many lines of nothing, so that places stay."""
    return re.sub(r"[^\n]", " ", match[0])


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def main() -> int:
    """Exit status: 0 if all is well."""
    wrong = [fault for page in PAGES for fault in faults(page)]
    for page in PAGES:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            blocks = run(page, Path(folder))
            for picture in pictures(page) if "--pictures" in sys.argv else ():
                shutil.copyfile(Path(folder) / picture.name, picture)
        if blocks:
            _say(f"{page.relative_to(ROOT)}: {blocks} Python blocks ran in {time.perf_counter() - started:.0f} s")
    for fault in wrong:
        _say(fault)
    _say(f"{len(PAGES)} pages, {len(wrong)} faults")
    return int(bool(wrong))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
