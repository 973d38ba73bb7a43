"""What `evaluate` says of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.console import METRICS, progress

if TYPE_CHECKING:
    from likewise.apps.mistakes import Mistakes


def check_places(out: Path | None, errors: Path | None) -> None:
    """Refuses folders that the results could not be written to, before the work.

    Raises:
        UsageError: a folder that holds other things, or two of which one is in the other.
    """
    from likewise.apps.mistakes import check_folder
    from likewise.errors import UsageError
    from likewise.media.files import check_replaceable

    if out is not None:
        check_replaceable(out, marker=METRICS)
    if errors is None:
        return
    check_folder(errors)
    if out is not None:
        one, other = out.resolve(), errors.resolve()
        if one == other or one in other.parents or other in one.parents:
            raise UsageError("--out and --errors are folders of their own", f"{str(out)!r} and {str(errors)!r}")


def tell_mistakes(found: Mistakes, folder: Path, values: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    """Writes the folder of mistakes, and adds to `values` and `rows` what was found."""
    with progress("writing") as bar:
        files = [str(file) for file in found.write(folder, progress=bar)]
    values["errors"] = {**found.as_dict(), "files": files}
    rows += [*found.rows(), ("look at", files[0])]
