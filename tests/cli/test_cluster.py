"""likewise cluster and likewise search, as a script sees them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.apps.search import search_folder
from likewise.errors import UsageError
from likewise.matching import Model, load

Run = Callable[..., object]


@pytest.fixture(scope="module")
def uncalibrated(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "plain.model"
    Model(load(model_folder).encoder).save(folder)
    return folder


def test_cluster_answers_with_one_document(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "groups"
    dry = run("cluster", model_folder, digit_folder, "--out", out, "--dry-run", "--json")
    assert dry.status == 0
    assert not out.exists()
    result = run("cluster", model_folder, digit_folder, "--out", out, "--json")
    assert result.status == 0
    assert result.json == dry.json
    assert {"clusters", "unassigned", "removed", "method", "threshold", "agreement", "skipped"} <= result.json.keys()
    listed = [item for group in result.json["clusters"] for item in group["items"]] + result.json["unassigned"]
    assert sorted(listed) == sorted(str(file) for file in digit_folder.rglob("*.png"))
    assert len(list(out.rglob("*.png"))) == 300
    for group in result.json["clusters"]:
        assert len(list((out / group["name"]).iterdir())) == len(group["items"]) >= 2
    assert result.json["agreement"]["bcubed_precision"] > 0.8
    assert 0.3 < result.json["agreement"]["bcubed_f"] <= 1
    assert result.json["agreement"]["items"] == 300


def test_cluster_as_a_table(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    result = run("cluster", model_folder, digit_folder, "--out", tmp_path / "g", "--method", "k-means", "--k", 10)
    assert result.status == 0
    rows = dict(line.split("  ", 1) for line in result.out.splitlines() if not line.startswith(" "))
    assert rows["clusters"].strip() == "10"
    assert float(rows["BCubed F"]) > 0.5
    assert (tmp_path / "g" / "cluster-010").is_dir()
    assert "deleted by you" not in rows


def test_a_name_is_kept_and_said(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    arguments = ("cluster", model_folder, digit_folder, "--out", tmp_path / "g", "--method", "hdbscan")
    run(*arguments)
    (tmp_path / "g" / "cluster-001").rename(tmp_path / "g" / "Einser")
    result = run(*arguments, "--afresh", "--json")
    assert result.json["clusters"][0]["name"] == "Einser"
    assert result.json["clusters"][0]["yours"] is True
    assert result.json["corrections"] == 1
    assert "by you: 1 folder renamed" in result.err


def test_links_and_curves(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    result = run(
        "cluster", model_folder, digit_folder, "--out", tmp_path / "g", "--method", "k-means", "--link", "symbolic",
        "--curves", tmp_path / "k.png", "--json",
    )  # fmt: skip
    assert result.status == 0
    assert result.json["curves"] == str(tmp_path / "k.png")
    assert (tmp_path / "k.png").stat().st_size > 1000
    curve = result.json["k_curve"]
    assert len(curve["ks"]) == len(curve["inertia"]) == len(curve["silhouettes"])
    assert {curve["elbow"], curve["best"]} <= set(curve["ks"])
    assert curve["best"] >= len(result.json["clusters"]) >= 2
    assert all(file.is_symlink() and file.exists() for file in (tmp_path / "g").rglob("*.png"))


def test_what_a_person_did_holds_through_new_pictures_and_other_methods(
    run, model_folder: Path, digit_folder: Path, tmp_path: Path
) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "g"
    shutil.copytree(digit_folder, pictures, ignore=shutil.ignore_patterns("2?.png"))
    before = run("cluster", model_folder, pictures, "--out", out, "--json").json
    (out / "cluster-001").rename(out / "Named")
    moved, deleted = sorted((out / "cluster-002").iterdir())[:2]
    moved.rename(out / "Named" / moved.name)
    deleted.unlink()
    shutil.copytree(digit_folder, pictures, dirs_exist_ok=True)  # a third more
    arguments = ("cluster", model_folder, pictures, "--out", out)
    joined = run(*arguments, "--json")
    assert "by you: 1 folder renamed, 1 picture moved, 1 picture deleted" in joined.err
    names = {group["id"]: group["name"] for group in joined.json["clusters"]}
    assert {group["id"]: group["name"] for group in before["clusters"]} | {1: "Named"} == {
        number: name for number, name in names.items() if number <= len(before["clusters"])
    }
    for group in before["clusters"]:  # nothing that was in a cluster left it
        now = next(other["items"] for other in joined.json["clusters"] if other["id"] == group["id"])
        lost = set(group["items"]) - set(now)
        assert len(lost) == (2 if group["id"] == 2 else 0)
    for options in (["--afresh"], ["--method", "k-means", "--k", 8], ["--method", "x-means"], ["--method", "hdbscan"]):
        again = run(*arguments, *options, "--json").json
        named = next(group for group in again["clusters"] if group["id"] == 1)
        assert (named["name"], named["yours"], again["corrections"]) == ("Named", True, 0)
        assert (out / "Named" / moved.name).is_file()
        assert not deleted.exists()
        assert len(again["removed"]) == 1
    rows = run(*arguments, "--method", "hdbscan").out
    assert "deleted by you  1" in rows


def test_cut_out_of_one_picture(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, file in enumerate(sorted((digit_folder / "0").iterdir())[:20]):
        shutil.copy(file, pictures / f"sheet{number // 5}-{number % 5}.png")
    arguments = ("cluster", model_folder, pictures, "--out", tmp_path / "g", "--json")
    before = run(*arguments, "--dry-run").json["clusters"]
    assert max(len(group["items"]) for group in before) > 4
    done = run(*arguments, "--picture-from", "(.+)-").json["clusters"]
    assert done
    for group in done:
        sheets = [Path(item).name.split("-")[0] for item in group["items"]]
        assert len(set(sheets)) == len(sheets)


def test_an_uncalibrated_model_is_refused_where_a_threshold_is_needed(
    run, uncalibrated: Path, digit_folder: Path, tmp_path: Path
) -> None:
    line = run("cluster", uncalibrated, digit_folder, "--out", tmp_path / "g", "--json").refused(3)
    assert "never calibrated" in line
    assert "--method hdbscan" in line
    assert not (tmp_path / "g").exists()
    assert run("cluster", uncalibrated, digit_folder, "--out", tmp_path / "g", "--method", "hdbscan").status == 0


@pytest.mark.parametrize(
    ("options", "status", "why"),
    [
        (["--fmr", 0.1, "--method", "hdbscan"], 2, "promised rate"),
        (["--fmr", 0.123], 2, "promises a false match rate of"),
        (["--k", 3], 2, "k is for k-means"),
        (["--method", "magic"], 2, "--method"),
        (["--k", 0, "--method", "k-means"], 2, "--k"),
        (["--curves", "k.svg"], 2, ".png"),
        (["--link", "none"], 2, "--link"),
        (["--smallest", 0], 2, "--smallest"),
        (["--picture-from", "("], 2, "regular expression"),
        (["--picture-from", "x"], 2, "one group"),
        (["--picture-from", "(x)"], 3, "none of 300"),
    ],
)
def test_options_that_cannot_work(
    options: list[object], status: int, why: str, run, model_folder: Path, digit_folder: Path, tmp_path: Path
) -> None:
    assert why in run("cluster", model_folder, digit_folder, "--out", tmp_path / "g", *options).refused(status)
    assert not (tmp_path / "g").exists()


def test_bad_folders(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    run("cluster", model_folder, tmp_path / "missing", "--out", tmp_path / "g").refused(3)
    run("cluster", tmp_path / "missing", digit_folder, "--out", tmp_path / "g").refused(3)
    run("cluster", model_folder, digit_folder, "--out", digit_folder).refused(2)
    (tmp_path / "file").touch()
    run("cluster", model_folder, digit_folder, "--out", tmp_path / "file").refused(2)
    assert "--out" in run("cluster", model_folder, digit_folder).refused(2)


@pytest.mark.slow
def test_a_real_kill_leaves_what_the_next_run_goes_on_from(
    model_folder: Path, digit_folder: Path, tmp_path: Path, run
) -> None:
    out, program = tmp_path / "g", (
        "import os, sys\n"
        "from likewise.apps.cluster import writing\n"
        "from likewise.cli import main\n"
        "real, left = writing._rename, iter(range(int(sys.argv[1])))\n"
        "writing._rename = lambda a, b: real(a, b) if next(left, None) is not None else os.kill(os.getpid(), 9)\n"
        "main(sys.argv[2:])\n"
    )  # fmt: skip
    for after, options in ((90, []), (150, []), (40, ["--method", "k-means", "--k", "10"])):
        arguments = ["cluster", str(model_folder), str(digit_folder), "--out", str(out), *options]
        killed = subprocess.run(
            [sys.executable, "-c", program, str(after), *arguments], capture_output=True, check=False
        )
        assert killed.returncode == -9
        assert len(list(out.rglob(".likewise-*.part"))) <= 1
    assert json.loads((out / "clusters.json").read_text())["writing"]
    result = run("cluster", model_folder, digit_folder, "--out", out, "--method", "k-means", "--k", 10, "--json")
    assert (result.status, result.json["corrections"], result.json["removed"]) == (0, 0, [])
    assert len(list(out.rglob("*.png"))) == 300
    assert not list(out.rglob(".likewise-*"))
    assert not json.loads((out / "clusters.json").read_text())["writing"]


def test_search(run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    probe = digit_folder / "4" / "03.png"
    result = run("search", model_folder, digit_folder, probe, "-k", 5, "--json")
    assert result.status == 0
    matches = result.json["matches"]
    assert len(matches) == 5
    assert str(probe) not in [match["file"] for match in matches]
    assert sum(Path(match["file"]).parent.name == "4" for match in matches) >= 4
    distances = [match["distance"] for match in matches]
    assert distances == sorted(distances)
    model = load(model_folder)
    assert distances == pytest.approx([model.distance(probe, match["file"]) for match in matches], abs=1e-6)
    for match in matches:
        verdict = model.verify(probe, match["file"])
        assert (match["same"], match["probability"]) == (verdict.same, pytest.approx(verdict.probability, abs=1e-4))
    shutil.copy(probe, tmp_path / "copy.png")
    first = run("search", model_folder, digit_folder, tmp_path / "copy.png", "-k", 1).out.split()
    assert first[-1] == str(probe)


def test_search_finds_the_nearest_of_all(model_folder: Path, digit_folder: Path) -> None:
    model, probe = load(model_folder), digit_folder / "7" / "00.png"
    files = sorted(set(digit_folder.rglob("*.png")) - {probe})
    expected = sorted(files, key=lambda file: model.distance(probe, file))[:3]
    found = search_folder(model, digit_folder, probe, 3)
    assert [Path(match.file) for match in found.matches] == expected
    assert len(search_folder(model, digit_folder, probe, 10_000).matches) == 299
    with pytest.raises(UsageError, match="at least 1 match"):
        search_folder(model, digit_folder, probe, 0)


def test_search_without_calibration_and_with_bad_files(
    run, uncalibrated: Path, digit_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(digit_folder / "1", tmp_path / "some")
    (tmp_path / "some" / "bad.png").write_bytes(b"no picture")
    result = run("search", uncalibrated, tmp_path / "some", digit_folder / "2" / "00.png", "--json")
    assert result.status == 0
    assert result.json["threshold"] is None
    assert {match["same"] for match in result.json["matches"]} == {None}
    assert [Path(one["file"]).name for one in result.json["skipped"]] == ["bad.png"]
    assert "bad.png" in result.err
    run("search", uncalibrated, tmp_path / "some", tmp_path / "some" / "bad.png").refused(3)
    run("search", uncalibrated, tmp_path / "some", tmp_path / "missing.png").refused(3)
    (tmp_path / "empty").mkdir()
    run("search", uncalibrated, tmp_path / "empty", digit_folder / "2" / "00.png").refused(3)
    run("search", uncalibrated, tmp_path / "some", digit_folder / "2" / "00.png", "-k", 0).refused(2)
