"""A service of the digits model in this process, and what asks it."""

from __future__ import annotations

import atexit
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import pytest
from PIL import Image

from likewise.server.app import make_app
from likewise.server.audit import Audit
from likewise.server.decoding import Decoders
from likewise.server.door import Door
from likewise.server.kinds import load_served
from likewise.server.limits import Limits
from likewise.server.run import running
from likewise.server.service import Service
from likewise.server.tokens import SCOPES, Tokens


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


@dataclass
class Served:
    """A service that runs."""

    url: str
    client: httpx.Client
    service: Service
    door: Door
    tokens: Tokens
    audit: Path
    gallery: Path

    @property
    def service_address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def post(self, path: str, files: Sequence[tuple[str, Any]] | None = None, **fields: Any) -> httpx.Response:
        """Pictures, given as paths or as (name, bytes), and fields."""
        parts = [
            (field, (item.name, item.read_bytes()) if isinstance(item, Path) else item) for field, item in files or ()
        ]
        return self.client.post(path, files=parts, data={k: str(v) for k, v in fields.items()})

    def with_token(self, *scopes: str, **options: Any) -> dict[str, str]:
        """Headers of a new token."""
        return {"Authorization": f"Bearer {self.tokens.make('a test', scopes, **options)[0]}"}


class Borrowed:
    """Decoders that stay when a service ends: starting their processes takes longer than most tests of it."""

    kept: ClassVar[dict[Limits, Decoders]] = {}

    def __init__(self, limits: Limits) -> None:
        if limits not in self.kept:
            self.kept[limits] = Decoders(limits)
            atexit.register(self.kept[limits].close)
        self._decoders = self.kept[limits]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoders, name)

    def close(self) -> None:
        """Not yet."""


@contextmanager
def served(
    folder: Path, model: Path, limits: Limits | None = None, *, named: bool = True, decoders: type[Any] = Borrowed
) -> Iterator[Served]:
    """A service with an empty gallery in `folder`; one that is not `named` has none."""
    gallery, tokens, audit = folder / "g.gallery", Tokens(folder / "tokens"), folder / "audit.jsonl"
    token, _ = tokens.make("tester", SCOPES, per_minute=1_000_000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("likewise.server.service.Decoders", decoders)
        service = Service(load_served(str(model)), str(gallery) if named else None, limits)
    door = make_app(service, tokens, Audit(audit))
    with (
        running(door) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as client,
    ):
        yield Served(url, client, service, door, tokens, audit, gallery)
