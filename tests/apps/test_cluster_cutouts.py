"""Items cut out of one picture, told by their file names: which they are, and that they are never the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cluster_drawn import PointModel, draw

from likewise.apps.cluster import Clustered, ClusterOptions, cluster_folder
from likewise.apps.cluster.cutouts import pictures_of
from likewise.errors import DataError, UsageError

NAMES = r"(.+)-\d+\.png"


def test_names_tell_the_picture() -> None:
    names = [Path(name) for name in ("b-1.png", "a-1.png", "b-2.png", "alone.png", "a-1.png", "b.png")]
    assert pictures_of(names, NAMES).tolist() == [0, 1, 0, -1, 1, -1]
    assert pictures_of(names, r"-(7)?").tolist() == [-1] * 6  # a group that took no part
    cameras = [Path(name) for name in ("north/1-1.png", "south/1-1.png", "north/1-2.png")]
    assert pictures_of(cameras, NAMES).tolist() == [0, 1, 0]
    assert pictures_of([], NAMES).tolist() == []


@pytest.mark.parametrize(
    ("expression", "why"), [("(", "is a regular expression"), ("a", "one group"), ("(a)(b)", "has 2")]
)
def test_expressions_that_cannot_be(expression: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        pictures_of([Path("a")], expression)
    with pytest.raises(UsageError, match=why):  # before anything is looked for
        cluster_folder(PointModel(), tmp_path / "missing", tmp_path / "out", picture_from=expression)


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Two people who look alike, together in three pictures, and a third who is far off, alone in four."""
    for number in range(3):
        draw(tmp_path / "pictures" / f"party{number}-1.png", 20, 20 + number)
        draw(tmp_path / "pictures" / f"party{number}-2.png", 22, 20 + number)
    for number in range(4):
        draw(tmp_path / "pictures" / f"alone{number}.png", 200 + number, 200)
    return tmp_path / "pictures"


def cluster(pictures: Path, method: str = "agglomerative", expression: str | None = NAMES) -> Clustered:
    options = ClusterOptions(method, k=2 if method == "k-means" else None)
    return cluster_folder(PointModel(), pictures, pictures.parent / "out", options, picture_from=expression)


def of_pictures(items: tuple[str, ...]) -> list[str]:
    return sorted(Path(item).name.split("-")[0] for item in items)


@pytest.mark.parametrize("method", ["agglomerative", "hdbscan", "k-means", "x-means"])
def test_two_of_one_picture_are_never_in_one_cluster(method: str, twins: Path) -> None:
    assert sorted(len(group.items) for group in cluster(twins, method, None).clusters) == [4, 6]
    done = cluster(twins, method)
    for group in done.clusters:
        assert len(set(of_pictures(group.items))) == len(group.items) >= 2
    assert sum(len(group.items) for group in done.clusters) + len(done.unassigned) == 10
    if method == "agglomerative":  # which puts the other three together too
        party = [of_pictures(group.items) for group in done.clusters if "party0" in of_pictures(group.items)]
        assert party == [["party0", "party1", "party2"]] * 2


def test_that_holds_for_what_joins_later_even_where_the_first_picture_is_gone(twins: Path) -> None:
    cluster(twins)
    draw(twins / "party0-3.png", 21, 21)  # a third in the first picture
    for file in twins.glob("party0-[12].png"):
        file.unlink()
    done = cluster(twins)
    assert done.unassigned == (f"{twins}/party0-3.png",)
    shutil.move(twins / "party0-3.png", twins / "other-3.png")  # it was cut out of another
    draw(twins / "more-1.png", 21, 20, 1)
    assert f"{twins}/other-3.png" not in cluster(twins).unassigned


def test_a_person_knows_better(twins: Path) -> None:
    cluster(twins)
    out = twins.parent / "out"
    one, other = (file.parent for file in sorted(out.rglob("party0-*.png")))
    (other / "party0-2.png").rename(one / "party0-2.png")
    draw(twins / "new-1.png", 20, 23, 1)
    done = cluster(twins)
    together = next(group for group in done.clusters if group.name == one.name)
    assert {f"{twins}/party0-1.png", f"{twins}/party0-2.png"} <= set(together.items)


def test_an_expression_that_finds_nothing_is_refused(twins: Path) -> None:
    with pytest.raises(DataError, match=r"none of 10 has '\(face\)'"):
        cluster(twins, expression="(face)")
    assert not (twins.parent / "out").exists()
