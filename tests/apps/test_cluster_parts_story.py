"""Any story of runs, kills and corrections where one picture lies in several folders: each part goes its own way."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from cluster_drawn import RowModel, contents, draw_row
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from likewise.apps.cluster import Clustered, ClusterOptions, cluster_folder, store, writing
from likewise.apps.cluster.manifest import read_state
from likewise.errors import DataError

CHOICES = [ClusterOptions(), ClusterOptions("k-means", k=2), ClusterOptions(smallest=1)]
CORNERS = np.array([(20, 20), (200, 30), (110, 220), (240, 240)])


class Killed(BaseException):
    """The process is gone."""


class Story(RuleBasedStateMachine):
    """A person who works in OUT while pictures of up to three come; names of files are unique in OUT, and stay."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.pictures, self.out = self.root / "pictures", self.root / "out"
        self.model = RowModel()
        self.rng = np.random.default_rng(0)
        self.copies: Counter[str] = Counter()  # hash -> how many copies there are to be
        self.put: dict[str, str] = {}  # name -> where in OUT a person put it
        self.left: dict[str, str] = {}  # name -> where the last run left it
        self.put_before: dict[str, str] = {}  # `put` as it was then
        self.whole = True  # whether the last run came to its end

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize(people=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    def first_picture(self, people: list[int]) -> None:
        self.new_picture(people)

    @rule(people=st.lists(st.integers(0, 3), max_size=3))
    def new_picture(self, people: list[int]) -> None:
        number = len(list(self.pictures.rglob("*.png")))
        points = [tuple((CORNERS[who] + self.rng.integers(0, 10, 2)).tolist()) for who in people]
        file = self.pictures / f"{number % 3}" / f"{number // 3 % 2}.png"
        while file.exists():  # many have one name, in folders of their own
            file = file.parent / "more" / file.name
        content = draw_row(file, *points, (0, 0), number=number)
        self.copies[content] = len(people)

    @rule(choice=st.sampled_from(CHOICES), afresh=st.booleans())
    def run(self, choice: ClusterOptions, afresh: bool) -> None:
        try:
            dry = self.cluster(choice, afresh=afresh, dry_run=True)
        except DataError as error:
            self.check_refused(choice, error)
            return
        done = self.cluster(choice, afresh=afresh)
        assert done.as_dict() == dry.as_dict()
        self.whole = True
        self.check(done)
        self.left, self.put_before = dict(self.places()), dict(self.put)
        self.model.encoded.clear()
        again = self.cluster(choice)
        assert (again.copied, again.moved, again.corrections, self.model.encoded) == (0, 0, 0, [])
        assert again.clusters == done.clusters

    @precondition(lambda self: self.whole)
    @rule(choice=st.sampled_from(CHOICES), after=st.integers(0, 6))
    def run_and_be_killed(self, choice: ClusterOptions, after: int) -> None:
        left, rename = iter(range(after)), writing._rename

        def killed(old: Path, new: Path) -> None:
            if next(left, None) is None:
                raise Killed
            rename(old, new)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing, "_rename", killed)
            patch.setattr(store, "ENCODED_AT_ONCE", 2)
            patch.setattr(store, "KEPT_EVERY", 0)
            try:
                self.cluster(choice, afresh=True)
            except Killed:
                self.whole = False
            except DataError as error:
                self.check_refused(choice, error)

    def check_refused(self, choice: ClusterOptions, error: DataError) -> None:
        """There are too few for k: but for the deleted and those that lie in no cluster there is at most one part."""
        nowhere = sum(PurePosixPath(place).parent.name in ("", "unassigned") for place in self.places().values())
        assert choice.k == 2
        assert "at most as many" in str(error)
        assert (+self.copies).total() - nowhere < 2

    def cluster(self, choice: ClusterOptions, **options: bool) -> Clustered:
        return cluster_folder(self.model, self.pictures, self.out, choice, **options)

    def about_to_write(self) -> set[str]:
        """Where the run that was killed would have put pictures next."""
        state = read_state(self.out)
        return set() if state is None else set(state.writing.values())

    def places(self) -> dict[str, str]:
        """Name -> path in OUT."""
        return {PurePosixPath(place).name: place for place in contents(self.out)} if self.out.exists() else {}

    @precondition(lambda self: len(self.places()) > 1)
    @rule(which=st.integers(0, 99), where=st.integers(0, 99))
    def move(self, which: int, where: int) -> None:
        places = self.places()
        name = sorted(places)[which % len(places)]
        folders = sorted({str(PurePosixPath(p).parent) for p in places.values()} | {"unassigned", ".", "By hand"})
        target = self.out / folders[where % len(folders)] / name
        if target.exists():
            return
        target.parent.mkdir(exist_ok=True)
        (self.out / places[name]).rename(target)
        self.put[name] = target.relative_to(self.out).as_posix()
        there_and_back = self.put[name] == self.left.get(name) and name not in self.put_before
        if there_and_back or self.put[name] in self.about_to_write():
            del self.put[name]  # nobody can see that

    @precondition(lambda self: self.places())
    @rule(which=st.integers(0, 99), name=st.sampled_from(["Ada", "Bob", "fam/Cleo"]))
    def rename(self, which: int, name: str) -> None:
        folders = sorted({str(PurePosixPath(p).parent) for p in self.places().values()} - {"unassigned", "."})
        if not folders or (self.out / name).exists():
            return
        folder = folders[which % len(folders)]
        (self.out / name).parent.mkdir(exist_ok=True)
        (self.out / folder).rename(self.out / name)
        for file, place in self.put.items():
            if PurePosixPath(place).is_relative_to(folder):
                self.put[file] = str(name / PurePosixPath(place).relative_to(folder))

    @precondition(lambda self: self.whole and len(self.places()) > 2)
    @rule(which=st.integers(0, 99))
    def delete(self, which: int) -> None:
        places = self.places()
        name = sorted(places)[which % len(places)]
        self.copies[contents(self.out)[places[name]]] -= 1
        (self.out / places[name]).unlink()
        self.put.pop(name, None)

    def check(self, done: Clustered) -> None:
        there = contents(self.out)
        assert Counter(there.values()) == +self.copies  # every part once, but for the deleted
        places = self.places()
        assert len(places) == len(there)  # names are unique
        for name, place in self.put.items():
            assert places[name] == place
        listed = [item for group in done.clusters for item in group.items] + list(done.unassigned)
        assert len(listed) == len(there)
        for group in done.clusters:
            inside = {place for place in there if PurePosixPath(place).is_relative_to(group.name)}
            assert len(inside) == len(group.items)
            unsaid = [there[place] for place in inside if PurePosixPath(place).name not in self.put]
            if not group.yours:
                assert len(set(unsaid)) == len(unsaid)  # no two of one picture


Story.TestCase.settings = settings(
    max_examples=10, stateful_step_count=14, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestStory = Story.TestCase


@pytest.mark.slow
class TestManyStories(Story.TestCase):
    settings = settings(Story.TestCase.settings, max_examples=50)
