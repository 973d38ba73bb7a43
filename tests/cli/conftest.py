"""The command line, run in this process: starting Python and torch anew for each command would take seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from likewise.cli import main


class Result(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one document on standard output."""
        return json.loads(self.out)

    def refused(self, status: int) -> str:
        """The one line of a refusal."""
        assert self.status == status, (self.status, self.err)
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if not line.startswith(("split by ", "training for "))]
        assert len(lines) == 1, lines
        assert "Traceback" not in lines[0]
        assert lines[0].startswith("likewise: ")
        assert "fault in likewise" not in lines[0]
        assert len(lines[0]) < 1000
        return lines[0]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Without lines of progress, which come only where a machine is slow."""
    monkeypatch.setattr("likewise.cli.console.PLAIN_LINE_EVERY", 1e9)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(int(left.value.code or 0), out, err)

    return run


@pytest.fixture
def quick(tmp_path: Path) -> list[object]:
    """Options for a training run of a second."""
    return ["--backbone", "mlp", "--dim", 8, "--epochs", 1, "--precision", "float32", "--out", tmp_path / "m"]
