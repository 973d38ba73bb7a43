from __future__ import annotations

import pytest

from likewise.assets import ASSETS, fetch
from likewise.errors import DataError


@pytest.mark.parametrize("asset", ASSETS.values(), ids=ASSETS)
def test_an_entry_is_whole(asset):
    assert ASSETS[asset.name] is asset
    assert len({file.role for file in asset.files}) == len({file.name for file in asset.files}) == len(asset.files)
    for file in asset.files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0
        assert file.remote.removesuffix(".gz").endswith(file.name)
    assert all(base.startswith("https://") and base.endswith("/") for base in asset.mirrors)
    assert asset.terms
    assert asset.citation


def test_sums_differ_between_all_files():
    sums = [file.sha256 for asset in ASSETS.values() for file in asset.files]
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "omniglot"])
def test_the_real_files_where_this_machine_has_them(name):
    try:
        paths = fetch(name, offline=True)
    except DataError as error:
        pytest.skip(f"not on this machine: {error}")
    assert list(paths) == [file.role for file in ASSETS[name].files]
