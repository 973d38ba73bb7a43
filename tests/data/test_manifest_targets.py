"""Columns of a manifest that are to be answered: what is read, and what is refused by row and name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from likewise.data import Dataset, manifest, open_data
from likewise.errors import DataError, UsageError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def written(table: Path, *lines: str) -> Path:
    table.write_text("\n".join(lines) + "\n")
    return table


class TestRead:
    def test_numbers_in_the_order_asked_for(self, table: Path) -> None:
        data = manifest(written(table, "path,age,size", "a.png,30,1.5", "b.png,-2,1e3"), targets=("size", "age"))
        assert data.target_names == ("size", "age")
        assert data.targets is not None
        assert data.targets.dtype == np.float32
        assert data.targets.tolist() == [[1.5, 30], [1000, -2]]
        assert data.sources == (table.parent / "a.png", table.parent / "b.png")

    @pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("yes", "no"), ("True", "False"), (" YES ", "0.0")])
    def test_yes_and_no(self, table: Path, yes: str, no: str) -> None:
        data = manifest(written(table, "path,wet,cold", f"a,{yes},{no}", f"b,{no},{no}", f"c,{yes},{yes}"),
                        targets=("wet", "cold"))  # fmt: skip
        assert data.targets is not None
        assert data.targets.tolist() == [[1, 0], [0, 0], [1, 1]]
        assert [data.names[label] for label in data.labels] == ["wet", "none", "wet+cold"]

    def test_numbers_say_nothing_of_identities(self, table: Path) -> None:
        data = manifest(written(table, "path,age", "a,3", "b,4"), targets=("age",))
        assert data.names == ("item",)

    def test_of_a_parquet_with_its_own_types(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"path": ["a", "b"], "wet": [True, False], "age": [3, 4], "split": ["train", "test"]})
        frame.to_parquet(tmp_path / "t.parquet")
        data = manifest(tmp_path / "t.parquet", targets=("wet", "age"))
        assert data.targets is not None
        assert data.targets.tolist() == [[1, 3], [0, 4]]
        assert data.part("test").files == ("b",)

    def test_groups_and_labels_may_stand_beside_them(self, table: Path) -> None:
        lines = ("path,label,camera,n", "a,cat,front,1", "b,dog,back,2", "c,cat,front,3")
        data = open_data(written(table, *lines), targets=("n",), group_by="camera")
        assert isinstance(data, Dataset)
        assert data.groups is not None
        assert [data.group_names[group] for group in data.groups] == ["front", "back", "front"]
        assert manifest(table).targets is None
        assert manifest(table).names == ("cat", "dog")

    def test_they_go_with_their_items(self, table: Path) -> None:
        lines = ["path,n", *(f"{i},{i}" for i in range(40))]
        data = manifest(written(table, *lines), targets=("n",))
        for file in data.files:
            (table.parent / file).write_text(file)  # copies of one content would stay together
        for part in (data.subset([5, 2]), *data.split(0.5, 0.5, by="item", seed=1)):
            assert part.targets is not None
            assert part.targets[:, 0].tolist() == [float(file) for file in part.files]
            assert part.target_names == ("n",)


class TestRefused:
    @pytest.mark.parametrize("cell", ["maybe", "3 kg", "nan", "inf", "1e300"])
    @pytest.mark.filterwarnings("ignore:overflow")
    def test_a_cell_that_is_no_number_by_its_row(self, table: Path, cell: str) -> None:
        written(table, "path,n", "a,1", f"b,{cell}", "c,what")
        with pytest.raises(DataError, match=r"'n' is one|Every row has a n") as caught:
            manifest(table, targets=("n",))
        assert "in row 3 of" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_words_are_classes(self, table: Path) -> None:
        with pytest.raises(DataError, match=r"'cat' in row 2 of .* Classes by name are the column label"):
            manifest(written(table, "path,kind", "a,cat", "b,dog"), targets=("kind",))

    def test_an_empty_cell_by_its_row(self, table: Path) -> None:
        with pytest.raises(DataError, match="Every row has a cold; got an empty one in row 4"):
            manifest(written(table, "path,wet,cold", "a,1,0", "b,1,1", "c,0,"), targets=("wet", "cold"))

    def test_an_empty_label_by_its_row(self, table: Path) -> None:
        with pytest.raises(DataError, match="Every row has a label; got an empty one in row 3"):
            manifest(written(table, "path,label", "a,cat", "b, "))

    def test_a_column_that_is_not_there_with_those_that_are(self, table: Path) -> None:
        written(table, "path,wet,cold", "a,1,0")
        with pytest.raises(UsageError, match=r"'warm', where .* has path, wet, cold"):
            manifest(table, targets=("wet", "warm"))

    def test_the_same_column_twice(self, table: Path) -> None:
        with pytest.raises(UsageError, match="A column is one target; got n, n"):
            manifest(written(table, "path,n", "a,1"), targets=("n", "n"))

    def test_a_manifest_without_targets_needs_labels_and_one_with_them_paths(self, table: Path) -> None:
        with pytest.raises(DataError, match="Add label"):
            manifest(written(table, "path,n", "a,1"))
        with pytest.raises(DataError, match=r"the column path; got file, n in .* Add path"):
            manifest(written(table, "file,n", "a,1"), targets=("n",))

    def test_what_is_no_manifest_has_no_columns(self, digit_folder: Path, table: Path) -> None:
        with pytest.raises(UsageError, match="Targets are columns of a manifest; got wet, cold for"):
            open_data(digit_folder, targets=("wet", "cold"))
        with pytest.raises(UsageError, match="Targets are columns of a manifest"):
            open_data(written(table, "a,b,same", "x,y,1", "x,z,0"), targets=("same",))

    @pytest.mark.parametrize("shape", [(3, 2), (2, 1), (2,)])
    def test_rows_and_names_go_together(self, shape: tuple[int, ...]) -> None:
        pictures = np.zeros((2, 8, 8), np.uint8)
        with pytest.raises(DataError, match="a row for each, with a name for each column"):
            Dataset(
                pictures, ("a", "b"), np.zeros(2, np.int64), ("x",), targets=np.zeros(shape, np.float32),
                target_names=("n", "m"),
            )  # fmt: skip
