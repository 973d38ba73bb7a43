"""Every store behind one fixture."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import milvus_server
import pytest
from records_drawn import MODEL_FILES, Make, described

from likewise.gallery.store import Store, store_for

# Name of a store -> the address of a gallery that is not there yet. A store that cannot run here skips with a reason.
STORES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: str(request.getfixturevalue("tmp_path") / "a.gallery"),
    "milvus": lambda request: request.getfixturevalue("milvus_uri"),
}
SLOW = {"milvus"}  # making a gallery there takes two seconds


@pytest.fixture(scope="session")
def milvus_program() -> Iterator[Path]:
    """The program of a Milvus server. Tests give it longer than people do, and do without compaction, which is slow."""
    if reason := milvus_server.missing():
        pytest.skip(reason)
    with TemporaryDirectory(prefix="milvus-program-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("likewise.gallery.milvus.connection.Connection.compact", lambda self, collection: None)
        patch.setattr("likewise.gallery.milvus.connection.PATIENCE", 120.0)
        yield milvus_server.unpack(Path(folder) / "bin")


@pytest.fixture(scope="session")
def milvus(milvus_program: Path) -> Iterator[milvus_server.Server]:
    """A Milvus for all tests; they use galleries of their own."""
    with TemporaryDirectory(prefix="milvus-data-") as folder:
        server = milvus_server.Server(milvus_program, Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def milvus_uri(milvus: milvus_server.Server) -> str:
    return f"http://{milvus.address}/test_{secrets.token_hex(6)}"


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in STORES])
def store_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address where no gallery is; what a test makes there is removed."""
    uri = STORES[request.param](request)
    yield uri
    if store_for(uri).exists(uri):
        store_for(uri).open(uri).remove()


@pytest.fixture
def make(store_uri: str) -> Iterator[Make]:
    """Makes the gallery at `store_uri`, and closes it in the end."""
    made: list[Store] = []

    def call(dim: int = 8) -> Store:
        made.append(store_for(store_uri).create(store_uri, described(dim), MODEL_FILES))
        return made[-1]

    yield call
    for store in made:
        store.close()
