"""A folder of words through the commands: what works for pictures works for sounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drawn_sounds import words

Run = Callable[..., object]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words(tmp_path_factory.mktemp("spoken") / "words")


def test_from_a_folder_of_words_to_answers(run: Run, spoken: Path, tmp_path: Path) -> None:
    health = run("data", "check", spoken, "--json").json
    assert (health["items"], health["identities"], health["problems"]) == (36, 3, [])

    model, gallery = tmp_path / "words.model", tmp_path / "home.gallery"
    made = run(
        "train", spoken, "--out", model, "--augment", "speech", "--dim", 16, "--epochs", 20, "--split", "item", "--json"
    )
    assert made.json["epochs"] == 20
    assert (model / "report" / "hardest.png").exists()
    described = run("models", "info", model)
    assert "sounds of 0.4 s at 8,000 Hz" in described.out
    card = (model / "README.md").read_text()
    assert "sounds of 0.4 s at 8,000 Hz become 16 numbers" in card
    assert "other microphones, rooms or voices may differ" in card
    assert run("evaluate", model, spoken, "--json").json["precision_at_1"] > 0.9

    encoded = run("encode", model, spoken, "-o", tmp_path / "e.npz", "--json").json
    assert (encoded["items"], encoded["dim"]) == (36, 16)
    found = run("search", model, spoken, spoken / "do" / "0.wav", "--json").json["matches"]
    assert Path(found[0]["file"]).parent.name == "do"

    for word in ("do", "mi"):
        enrolled = run(
            "enrol", gallery, word, *(spoken / word / f"{i}.wav" for i in range(4)), "--model", model, "--json"
        )
        assert enrolled.status == 0
        assert "another model would need these sounds again" in enrolled.err
    probes = run("identify", gallery, spoken / "do" / "7.wav", spoken / "mi" / "7.wav", "--json").json["probes"]
    assert [probe["matches"][0]["name"] for probe in probes] == ["do", "mi"]

    page = tmp_path / "map.html"
    assert run("map", model, spoken, "-o", page, "--method", "pca", "--json").json["points"] == 36
    assert page.stat().st_size > 10_000
    clustered = run(
        "cluster", model, spoken, "--out", tmp_path / "sorted", "--method", "k-means", "--k", 3, "--json"
    ).json
    assert sum(len(cluster["items"]) for cluster in clustered["clusters"]) == 36


def test_what_cannot_be(run: Run, spoken: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert "An augmentation of sounds is one of none, speech" in run(
        "train", spoken, "--out", out, "--augment", "photo"
    ).refused(2)
    assert "size is for pictures" in run("train", spoken, "--out", out, "--size", 28).refused(2)
    assert "600 s" in run("train", spoken, "--out", out, "--seconds", 0).refused(2)
    assert "prepare is for pictures" in run("train", spoken, "--out", out, "--prepare", "faces").refused(2)
    assert not out.exists()


def test_a_bad_clip_among_good_ones_is_reported_and_passed_over(run: Run, spoken: Path, tmp_path: Path) -> None:
    data = words(tmp_path / "words", seed=1)
    (data / "do" / "0.wav").write_bytes((data / "do" / "0.wav").read_bytes()[:300])
    (data / "do" / "1.wav").write_bytes(b"")
    soundfile.write(data / "do" / "2.wav", np.full(800, np.nan, np.float32), 8_000, subtype="FLOAT")
    soundfile.write(data / "re" / "0.wav", np.zeros((4_000, 2)), 44_100)  # silent, stereo, another rate: good
    trained = run("train", data, "--out", tmp_path / "m", "--dim", 8, "--epochs", 1, "--split", "item")
    assert trained.status == 0
    assert " sounds/s" in trained.out
    assert "images" not in trained.out + trained.err
    skipped = [line for line in trained.err.splitlines() if line.startswith("skipped")]
    assert sorted(line.split(": ")[0].rsplit("/", 1)[1] for line in skipped) == ["0.wav", "1.wav", "2.wav"]
    assert all("do/" in line for line in skipped)
