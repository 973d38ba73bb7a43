import shutil
import zipfile
from pathlib import Path

import numpy as np

from likewise.data import check, folder, pairs_file, zip_folder
from likewise.media.sounds import write_sound


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
    assert "one picture counts as two" in kinds["twice"][0].text
    assert kinds["single"][0].files == ("loner/5.png",)
    assert "'person 2' has 47 items" in kinds["imbalance"][0].text


def test_the_same_content_in_two_parts(tree: Path, tmp_path: Path):
    both = tmp_path / "both"
    for part in ("train", "test"):
        shutil.copytree(tree, both / part)
    problems = check(folder(both)).problems
    assert {p.kind for p in problems} == {"two parts"}
    assert len(problems) == 24


def test_sounds(tmp_path: Path):
    root, random = tmp_path / "words", np.random.default_rng(0)
    for word in ("yes", "no"):
        (root / word).mkdir(parents=True)
        for i in range(3):
            write_sound(root / word / f"{i}.wav", random.uniform(-0.1, 0.1, 800), 8000)
    assert check(folder(root)).problems == ()
    whole = (root / "yes" / "0.wav").read_bytes()
    (root / "yes" / "cut.wav").write_bytes(whole[:-2])
    (root / "no" / "3.wav").write_bytes((root / "no" / "0.wav").read_bytes())
    with zipfile.ZipFile(tmp_path / "words.zip", "w") as archive:
        for file in sorted(root.rglob("*.wav")):
            archive.write(file, str(file.relative_to(root)))
    for data in (folder(root), zip_folder(tmp_path / "words.zip")):
        health = check(data)
        assert health.counts == {"no": 4, "yes": 3}
        cut, twice = health.problems
        assert (cut.kind, cut.files) == ("unreadable", ("yes/cut.wav",))
        assert "yes/cut.wav with 1,598 of 1,600 bytes" in cut.text
        assert (twice.kind, twice.files) == ("twice", ("no/0.wav", "no/3.wav"))
        assert "one sound counts as two" in twice.text


def test_unreadable_items_are_not_counted(tree: Path):
    (tree / "ghost").mkdir()
    (tree / "ghost" / "a.png").write_bytes(b"")
    health = check(folder(tree))
    assert health.identities == 4
    assert health.as_dict()["problems"][0]["kind"] == "unreadable"


def table_of(tree: Path, *rows: str, header: str = "a,b,same") -> Path:
    path = tree / "pairs.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_healthy_pairs_have_no_problems(tree: Path):
    rows = [f"person {i}/0.png,person {i}/1.png,1" for i in range(3)] + ["person 0/0.png,person 1/0.png,0"]
    health = check(pairs_file(table_of(tree, *rows)))
    expected = {"items": 6, "identities": None, "counts": {"same": 3, "different": 1}, "problems": []}
    assert health.as_dict() == expected
    assert "<b>6 items in pairs</b>" in health._repr_html_()


def test_every_problem_of_pairs_is_found(tree: Path):
    (tree / "broken.png").write_bytes(b"\x89PNG broken")
    shutil.copy(tree / "person 3" / "0.png", tree / "copy.png")
    rows = [
        "person 0/0.png,person 0/1.png,1",
        "person 0/1.png,person 0/0.png,0",  # the other way round, and the other answer
        "person 1/0.png,person 2/0.png,0",
        "person 2/0.png,person 1/0.png,0",
        "person 1/0.png,person 3/0.png,0",
        "copy.png,person 1/0.png,0",  # the same pair under another name
        "copy.png,person 3/0.png,0",
        "person 0/2.png,broken.png,1",
        "person 0/2.png,person 0/3.png,1",
        "person 2/2.png,person 2/3.png,1",
        "person 2/3.png,person 2/4.png,1",
        "person 2/2.png,person 2/4.png,0",  # though a chain of the same links them
    ]
    health = check(pairs_file(table_of(tree, *rows)))
    assert [(p.kind, p.files) for p in health.problems] == [
        ("unreadable", ("broken.png",)),
        ("two answers", ("person 0/1.png", "person 0/0.png")),
        ("two answers", ("copy.png", "person 3/0.png")),
        ("two answers", ("person 2/2.png", "person 2/4.png")),
        ("twice", ("person 2/0.png", "person 1/0.png")),
        ("twice", ("copy.png", "person 1/0.png")),
    ]
    assert health.counts == {"same": 4, "different": 7}  # without the pair that cannot be read
    assert health.items == 11


def test_a_pair_of_the_same_file_says_nothing(tree: Path):
    shutil.copy(tree / "person 3" / "0.png", tree / "copy.png")
    rows = ["copy.png,person 3/0.png,1", "person 0/0.png,person 1/0.png,0"]
    (problem,) = check(pairs_file(table_of(tree, *rows))).problems
    assert problem.kind == "twice"
    assert "such a pair says nothing" in problem.text


def test_items_in_pairs_of_two_parts(tree: Path):
    shutil.copy(tree / "person 1" / "0.png", tree / "copy.png")
    rows = [
        "person 0/0.png,person 0/1.png,1,train",
        "person 1/0.png,person 0/1.png,0,train",
        "person 0/0.png,person 2/0.png,0,test",
        "copy.png,person 2/1.png,0,test",
    ]
    (problem,) = check(pairs_file(table_of(tree, *rows, header="a,b,same,split"))).problems
    assert (problem.kind, set(problem.files)) == ("two parts", {"person 0/0.png", "copy.png"})
    assert problem.text.startswith("2 items are in pairs of two parts")
