"""Pictures with a prepare step over HTTP: what is found in them decides, and says where it was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_client import Served, png, served
from service_tiles import SIDE, Tiles

import likewise as lw
from likewise.prepare.finder import KINDS
from likewise.server.decoding import Decoders

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tiled(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, digit_folder: Path
) -> Iterator[tuple[Served, lw.Model]]:
    """A service whose model looks for tiles; its decoders are told of them as they start."""
    place = tmp_path_factory.mktemp("tiled")
    (place / "sitecustomize.py").write_text(
        "from likewise.prepare.finder import KINDS\nKINDS['tiles'] = ('service_tiles', 'Tiles')\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        source = str(Path(str(lw.__file__)).parents[1])
        patched.setenv("PYTHONPATH", os.pathsep.join([str(place), source, str(HERE)]))
        patched.setitem(KINDS, "tiles", ("service_tiles", "Tiles"))
        encoder = lw.load(model_folder).encoder
        encoder.preprocessing = replace(encoder.ready(), prepare=Tiles())
        data = lw.folder(digit_folder)
        model = lw.calibrate(encoder, data, max_fmr=0.1, unit="item")
        model.save(place / "model")
        with served(place, place / "model", decoders=Decoders) as running:
            yield running, model


def digit(digit_folder: Path, which: int, number: int) -> np.ndarray:
    """One that has black in it."""
    return np.asarray(Image.open(sorted((digit_folder / str(which)).iterdir())[number]))


def sheet(*tiles: np.ndarray | None) -> tuple[str, bytes]:
    """Tiles beside each other, black where None."""
    black = np.zeros((SIDE, SIDE), np.uint8)
    return "sheet.png", png(np.concatenate([black if tile is None else tile for tile in tiles], axis=1))


FLAWED = np.full((SIDE, SIDE), 200, np.uint8)


def test_what_is_found_is_encoded_where_it_is(tiled: tuple[Served, lw.Model], digit_folder: Path) -> None:
    running, model = tiled
    one, four = digit(digit_folder, 1, 0), digit(digit_folder, 4, 0)
    found = running.post("/v1/encode", [("files", sheet(None, one, four)), ("files", sheet(None, None))]).json()
    assert [(item["file"], item["box"]) for item in found["items"]] == [
        ("sheet.png", [SIDE, 0, SIDE, SIDE]), ("sheet.png", [2 * SIDE, 0, SIDE, SIDE]),
    ]  # fmt: skip
    expected = model.encode([png(one), png(four)]).embeddings.numpy()
    np.testing.assert_allclose([item["embedding"] for item in found["items"]], expected, rtol=1e-4, atol=1e-5)


def test_only_a_picture_of_one_thing_is_enrolled_or_compared(
    tiled: tuple[Served, lw.Model], digit_folder: Path
) -> None:
    running, _ = tiled
    one, four = digit(digit_folder, 1, 1), digit(digit_folder, 4, 1)
    bad: dict[str, tuple[str, bytes]] = {
        "no a tile was found": sheet(None, None),
        "2 tiles were found": sheet(one, four),
        "too bright": sheet(None, FLAWED),
    }
    for said, picture in bad.items():
        answer = running.post("/v1/enrol", [("files", picture)], name="one")
        assert answer.status_code == 422, said
        assert said in answer.json()["error"]
        answer = running.post("/v1/verify", [("a", picture), ("b", sheet(one))])
        assert answer.status_code == 422, said
        assert said in answer.json()["error"]
    done = running.post("/v1/enrol", [("files", sheet(None, one)), *(("files", p) for p in bad.values())], name="one")
    assert len(done.json()["added"]) == 1
    assert len(done.json()["skipped"]) == 3
    assert running.post("/v1/verify", [("a", sheet(one)), ("b", sheet(None, one))]).json()["same"]

    claim = running.post("/v1/verify/name", [("file", sheet(one, None))], name="one").json()
    assert (claim["said"], claim["frames"][0]["box"]) == ("same", [0, 0, SIDE, SIDE])
    for said, picture in bad.items():
        claim = running.post("/v1/verify/name", [("file", picture)], name="one").json()
        assert (claim["same"], claim["said"], claim["distance"]) == (False, "unfit", None)
        assert said in claim["frames"][0]["problem"]


def test_flawed_things_are_no_cluster_however_alike_they_are(
    tiled: tuple[Served, lw.Model], digit_folder: Path
) -> None:
    running, _ = tiled
    zero = digit(digit_folder, 0, 3)
    sent = [("files", (f"{i}.png", sheet(zero, None, FLAWED)[1])) for i in range(3)]
    answer = running.post("/v1/cluster", sent).json()
    until = time.monotonic() + 60
    while (found := running.client.get(f"/v1/jobs/{answer['id']}").json())["state"] not in ("done", "failed"):
        assert time.monotonic() < until
        time.sleep(0.05)
    (cluster,) = found["answer"]["clusters"]
    assert [(item["file"], item["box"][0], item["flaw"]) for item in cluster["items"]] == [
        (f"{i}.png", 0, None) for i in range(3)
    ]
    unassigned = found["answer"]["unassigned"]
    assert [(item["file"], item["box"][0]) for item in unassigned] == [(f"{i}.png", 2 * SIDE) for i in range(3)]
    assert all("too bright" in item["flaw"] for item in unassigned)


def test_everything_in_a_picture_is_identified_but_a_flawed_thing_gets_no_name(
    tiled: tuple[Served, lw.Model], digit_folder: Path
) -> None:
    running, _ = tiled
    zero = digit(digit_folder, 0, 2)
    assert running.post("/v1/enrol", [("files", sheet(zero))], name="zero").status_code == 200
    found: dict[str, Any] = running.post(
        "/v1/identify", [("files", sheet(zero, None, FLAWED)), ("files", sheet(None))], k=1
    ).json()
    good, flawed = found["probes"]
    assert (good["box"], good["matches"][0]["name"]) == ([0, 0, SIDE, SIDE], "zero")
    assert good["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)
    assert flawed["box"] == [2 * SIDE, 0, SIDE, SIDE]
    assert "too bright" in flawed["flaw"]
    assert flawed["decision"] in ("unsure", "unknown")
    assert found["empty"] == ["sheet.png"]
    assert found["skipped"] == []
