"""Any story of runs, new pictures, corrections and kills: nothing is lost, and what a person said holds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from cluster_drawn import PointModel, contents, draw
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from likewise.apps.cluster import Clustered, ClusterOptions, cluster_folder, writing

CHOICES = [ClusterOptions(), ClusterOptions("hdbscan"), ClusterOptions("k-means", k=2), ClusterOptions(smallest=1)]


class Killed(BaseException):
    """The process is gone."""


class Story(RuleBasedStateMachine):
    """A person who works in OUT while pictures come."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.pictures, self.out = self.root / "pictures", self.root / "out"
        self.model = PointModel()
        self.rng = np.random.default_rng(0)
        self.drawn: set[str] = set()  # hashes of all pictures there ever were
        self.foreign: dict[Path, bytes] = {}
        self.put: dict[str, str] = {}  # hash -> where in OUT a person put it
        self.deleted: set[str] = set()
        self.left: dict[str, str] = {}  # hash -> where the last run left it
        self.put_before: dict[str, str] = {}  # `put` as it was then
        self.whole = True  # whether the last run came to its end

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize(count=st.integers(1, 8))
    def first_pictures(self, count: int) -> None:
        self.new_pictures(count, 0)

    @rule(count=st.integers(1, 4), where=st.integers(0, 3))
    def new_pictures(self, count: int, where: int) -> None:
        for _ in range(count):
            number = len(self.drawn)
            x, y = np.array([(20, 20), (200, 30), (110, 220), (240, 240)][where]) + self.rng.integers(0, 10, 2)
            file = self.pictures / f"{number % 4}" / f"{number // 4 % 2}.{'png' if number % 3 else 'PNG'}"
            while file.exists():  # many have one name, in folders of their own
                file = file.parent / "more" / file.name
            self.drawn.add(draw(file, x, y, number))

    @rule(choice=st.sampled_from(CHOICES), afresh=st.booleans())
    def run(self, choice: ClusterOptions, afresh: bool) -> None:
        before = contents(self.out) if self.out.exists() else {}
        dry = self.cluster(choice, afresh=afresh, dry_run=True)
        assert (contents(self.out) if self.out.exists() else {}) == before
        done = self.cluster(choice, afresh=afresh)
        assert done.as_dict() == dry.as_dict()
        self.whole = True
        self.check(done, before)
        self.left, self.put_before = {key: place for place, key in self.theirs().items()}, dict(self.put)
        again = self.cluster(choice)
        assert (again.copied, again.moved, again.corrections) == (0, 0, 0)
        assert again.clusters == done.clusters

    @precondition(lambda self: self.whole)
    @rule(choice=st.sampled_from(CHOICES), after=st.integers(0, 6), part=st.booleans())
    def run_and_be_killed(self, choice: ClusterOptions, after: int, part: bool) -> None:
        left, rename = iter(range(after)), writing._rename

        def killed(old: Path, new: Path) -> None:
            if next(left, None) is None:
                raise Killed
            rename(old, new)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing, "_rename", killed)
            if part:
                patch.setattr(Path, "unlink", lambda *_, **__: None)
            try:
                self.cluster(choice, afresh=True)
            except Killed:
                self.whole = False

    def cluster(self, choice: ClusterOptions, **options: bool) -> Clustered:
        return cluster_folder(self.model, self.pictures, self.out, choice, **options)

    def theirs(self) -> dict[str, str]:
        """Path in OUT -> hash, of the pictures that are not foreign."""
        if not self.out.exists():
            return {}
        return {place: key for place, key in contents(self.out).items() if self.out / place not in self.foreign}

    @precondition(lambda self: len(self.theirs()) > 1)
    @rule(which=st.integers(0, 99), where=st.integers(0, 99))
    def move(self, which: int, where: int) -> None:
        places = self.theirs()
        place = sorted(places)[which % len(places)]
        folders = sorted({str(PurePosixPath(p).parent) for p in places} | {"unassigned", ".", "Made by hand"})
        folder = folders[where % len(folders)]
        target = self.out / folder / PurePosixPath(place).name
        if target.exists():
            return
        target.parent.mkdir(exist_ok=True)
        (self.out / place).rename(target)
        key, now = places[place], target.relative_to(self.out).as_posix()
        self.put[key] = now
        if now == self.left.get(key) and key not in self.put_before:
            del self.put[key]  # there and back: nobody can see that

    @precondition(lambda self: self.theirs())
    @rule(which=st.integers(0, 99), name=st.sampled_from(["Ada", "Bob", "fam/Cleo"]))
    def rename(self, which: int, name: str) -> None:
        folders = sorted({str(PurePosixPath(p).parent) for p in self.theirs()} - {"unassigned", "."})
        if not folders or (self.out / name).exists():
            return
        folder = folders[which % len(folders)]
        (self.out / name).parent.mkdir(exist_ok=True)
        (self.out / folder).rename(self.out / name)
        for file in [file for file in self.foreign if file.is_relative_to(self.out / folder)]:
            self.foreign[self.out / name / file.relative_to(self.out / folder)] = self.foreign.pop(file)
        for key in self.put:
            if PurePosixPath(self.put[key]).is_relative_to(folder):
                self.put[key] = str(name / PurePosixPath(self.put[key]).relative_to(folder))

    @precondition(lambda self: self.whole and len(self.theirs()) > 2)
    @rule(which=st.integers(0, 99))
    def delete(self, which: int) -> None:
        places = self.theirs()
        place = sorted(places)[which % len(places)]
        (self.out / place).unlink()
        self.deleted.add(places[place])
        self.put.pop(places[place], None)

    @precondition(lambda self: self.out.exists())
    @rule(which=st.integers(0, 99), picture=st.booleans())
    def leave_something(self, which: int, picture: bool) -> None:
        folders = sorted(folder for folder in (self.out, *self.out.rglob("*")) if folder.is_dir())
        number = len(self.foreign)
        file = folders[which % len(folders)] / (f"{number}.png" if picture else f"{number}.txt")
        if not file.exists():
            draw(file, 1, 1, 100 + number) if picture else file.write_text(f"note {number}")
            self.foreign[file] = file.read_bytes()

    @invariant()
    def foreign_files_stay(self) -> None:
        assert {file: file.read_bytes() for file in self.foreign} == self.foreign

    def check(self, done: Clustered, before: dict[str, str]) -> None:
        places = self.theirs()
        assert set(before.values()) <= set(contents(self.out).values())  # no content is lost by a run
        assert sorted(places.values()) == sorted(self.drawn - self.deleted)  # every picture once, but for the deleted
        where = {key: place for place, key in places.items()}
        for key, place in self.put.items():
            assert where[key] == place
        listed = [item for group in done.clusters for item in group.items] + list(done.unassigned)
        assert len(listed) == len(places)
        for group in done.clusters:
            inside = {key for place, key in places.items() if PurePosixPath(place).is_relative_to(group.name)}
            assert {contents_hash(Path(item)) for item in group.items} <= inside


def contents_hash(file: Path) -> str:
    return contents(file.parent)[file.name]


Story.TestCase.settings = settings(
    max_examples=10, stateful_step_count=14, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestStory = Story.TestCase


@pytest.mark.slow
class TestManyStories(Story.TestCase):
    settings = settings(Story.TestCase.settings, max_examples=50)
