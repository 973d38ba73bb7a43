"""Files of weights are read as torch reads them, and nothing in them is run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.encoder.torch_file import MAGIC, read_tensors_of_torch
from likewise.errors import ModelError


def written(path: Path, tensors: object) -> Path:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


TENSORS = collections.OrderedDict(
    {
        "plain": torch.arange(12.0).view(3, 4),
        "turned": torch.arange(24.0).view(2, 3, 4).permute(2, 0, 1),
        "part": torch.arange(30.0)[7:19].view(4, 3),
        "bytes": torch.arange(200, dtype=torch.uint8).view(2, 100),
        "count": torch.tensor(300),
        "none": torch.empty(0),
    }
)
TENSORS["shared"] = TENSORS["plain"].T


@pytest.mark.parametrize("kind", [collections.OrderedDict, dict])
def test_tensors_are_those_that_were_written(tmp_path: Path, kind: type) -> None:
    found = read_tensors_of_torch(written(tmp_path / "w.pth", kind(TENSORS)))
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
        assert found[name].flags.writeable


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "run"),)

    with pytest.raises(ModelError, match="a call of posix mkdir"):
        read_tensors_of_torch(written(tmp_path / "w.pth", {"weight": Harmful()}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    content = written(tmp_path / "w.pth", TENSORS).read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="Get it again"):
        read_tensors_of_torch(tmp_path / "cut.pth")


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "new.pth")  # as torch writes them since 2020
    (tmp_path / "text.pth").write_text("no weights")
    written(tmp_path / "number.pth", {"weight": 3})
    for name in ("new", "text", "number", "missing"):
        with pytest.raises(ModelError, match=f"{name}.pth"):
            read_tensors_of_torch(tmp_path / f"{name}.pth")


@pytest.mark.parametrize(("shape", "strides"), [((5,), (1,)), ((2, 2), (3, 1)), ((2,), (-1,)), ((-3,), (1,))])
def test_a_tensor_larger_than_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    class Storage:
        pass

    class Tensor:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, shape, strides, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", 4, None) if isinstance(obj, Storage) else None

    stream = io.BytesIO()
    for value in (MAGIC, 1001, {}, {"weight": Tensor()}, ["0"]):
        Pickler(stream, 2).dump(value)
    stream.write(struct.pack("<q4f", 4, 1, 2, 3, 4))
    (tmp_path / "w.pth").write_bytes(stream.getvalue())
    with pytest.raises(ModelError, match="4 numbers"):
        read_tensors_of_torch(tmp_path / "w.pth")
