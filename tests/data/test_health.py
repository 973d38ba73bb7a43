import shutil
from pathlib import Path

from likewise.data import check, folder


def test_healthy_folder_has_no_problems(tree: Path):
    health = check(folder(tree))
    assert (health.items, health.identities, health.problems) == (24, 4, ())
    assert health.counts == {f"person {i}": 6 for i in range(4)}


def test_every_kind_of_problem_is_found(tree: Path):
    (tree / "person 0" / "broken.png").write_bytes(b"\x89PNG broken")
    shutil.copy(tree / "person 1" / "0.png", tree / "person 2" / "stolen.png")
    shutil.copy(tree / "person 3" / "0.png", tree / "person 3" / "again.png")
    (tree / "loner").mkdir()
    shutil.move(tree / "person 0" / "5.png", tree / "loner" / "5.png")
    for n in range(40):
        (tree / "person 2" / f"many{n}.png").write_bytes(bytes((tree / "person 2" / "0.png").read_bytes()) + bytes([n]))
    kinds = {}
    for problem in check(folder(tree)).problems:
        kinds.setdefault(problem.kind, []).append(problem)
    assert [p.files for p in kinds["unreadable"]] == [("person 0/broken.png",)]
    assert "broken.png" in kinds["unreadable"][0].text
    assert kinds["two labels"][0].files == ("person 1/0.png", "person 2/stolen.png")
    assert kinds["twice"][0].files == ("person 3/0.png", "person 3/again.png")
    assert kinds["single"][0].files == ("loner/5.png",)
    assert "'person 2' has 47 items" in kinds["imbalance"][0].text


def test_the_same_content_in_two_parts(tree: Path, tmp_path: Path):
    both = tmp_path / "both"
    for part in ("train", "test"):
        shutil.copytree(tree, both / part)
    problems = check(folder(both)).problems
    assert {p.kind for p in problems} == {"two parts"}
    assert len(problems) == 24


def test_unreadable_items_are_not_counted(tree: Path):
    (tree / "ghost").mkdir()
    (tree / "ghost" / "a.png").write_bytes(b"")
    health = check(folder(tree))
    assert health.identities == 4
    assert health.as_dict()["problems"][0]["kind"] == "unreadable"
