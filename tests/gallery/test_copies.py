"""Copies of the service on one gallery: what one is told the others know, and forget; two processes' worth of state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_client import Borrowed

import likewise as lw
from likewise.errors import DataError
from likewise.server.limits import Limits
from likewise.server.service import Service, Upload


def uploads(digit_folder: Path, digit: int, part: slice) -> list[Upload]:
    return [Upload(file.name, file.read_bytes()) for file in sorted((digit_folder / str(digit)).iterdir())[part]]


@pytest.fixture
def copies(store_uri: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, Service]]:
    """The first makes the gallery, the second only has its address."""
    monkeypatch.setattr("likewise.server.service.Decoders", Borrowed)
    first = Service(lw.load(model_folder), store_uri, Limits())
    second = Service(None, store_uri, Limits())
    yield first, second
    second.close()
    first.close()


def test_what_one_is_told_the_other_knows(copies: tuple[Service, Service], digit_folder: Path) -> None:
    first, second = copies
    assert first.fingerprint == second.fingerprint
    assert len(first.enrol("three", uploads(digit_folder, 3, slice(5)), {}, keep=False).added) == 5
    assert len(second.enrol("eight", uploads(digit_folder, 8, slice(5)), {}, keep=False).added) == 5
    asked = [*uploads(digit_folder, 3, slice(5, 8)), *uploads(digit_folder, 8, slice(5, 8))]
    said = [copy.identify(asked, None, None).as_dict() for copy in copies]
    assert said[0] == said[1]
    assert {match["name"] for probe in said[0]["probes"] for match in probe["matches"]} == {"three", "eight"}
    claim = second.verify_name(uploads(digit_folder, 3, slice(0, 1)), "three", None)
    assert claim.same
    assert claim.distance == pytest.approx(0, abs=1e-3)


def test_what_one_forgets_no_copy_remembers(copies: tuple[Service, Service], digit_folder: Path) -> None:
    first, second = copies
    first.enrol("three", uploads(digit_folder, 3, slice(5)), {}, keep=True)
    second.enrol("eight", uploads(digit_folder, 8, slice(5)), {}, keep=False)
    same = uploads(digit_folder, 3, slice(0, 1))
    assert first.identify(same, None, None).probes[0].decision.matches[0].name == "three"
    assert second.forget("three", None).records == 5
    for copy in copies:
        names = [match.name for match in copy.identify(same, None, None).probes[0].decision.matches]
        assert "three" not in names
        with pytest.raises(DataError, match="is enrolled"):
            copy.verify_name([same], "three", None)
