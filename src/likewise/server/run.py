"""The service on a socket, until it is told to stop."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, final

from likewise.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

    from likewise.server.door import Door

_LAST_WORDS = 10  # seconds that requests have to finish when the service ends


@final
@dataclass(frozen=True)
class Address:
    """Where the service listens.

    Attributes:
        host: a name or number; 127.0.0.1 is this computer alone.
        port: 0 takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 8760

    @property
    def is_here(self) -> bool:
        """Whether only this computer can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def beside(gallery: str | None, model: str | None, given: Path | None, ending: str, option: str) -> Path:
    """Where a file of the service is: as given, or beside the gallery's, or without one beside the model's folder.

    Raises:
        UsageError: the gallery is no file; or there is none, and no model's folder.
    """
    if given is not None:
        return given
    if gallery is not None and "://" in gallery:
        raise UsageError("Beside a gallery on a server, a place is given", f"no {option}", f"Pass {option} FILE.")
    if gallery is None and (model is None or not Path(model).is_dir()):
        found = f"no {option}, and {'no MODEL' if model is None else f'{model!r}'}"
        rule = "Tokens and the log are in files beside a gallery or a model's folder, or where they are said to be"
        raise UsageError(rule, found, "Pass --gallery GALLERY, or --tokens FILE and --audit FILE.")
    path = Path(str(model) if gallery is None else gallery.partition("?")[0]).resolve()
    return path.with_name(path.name + ending)


def require_http() -> None:
    """Checks that the libraries are there.

    Raises:
        UsageError: they are not.
    """
    try:
        import fastapi
        import python_multipart
        import uvicorn
    except ModuleNotFoundError as error:
        raise UsageError(
            "The service needs FastAPI and uvicorn", f"no {error.name}", 'Install them: pip install "likewise[serve]".'
        ) from error
    _ = fastapi, python_multipart, uvicorn


def run(app: Door, listening: socket.socket, started: Callable[[str], object]) -> None:
    """Serves until the process is told to end; then what is being answered is.

    Args:
        app: from `make_app`.
        listening: from `listen`.
        started: told where it can be reached.
    """
    started(_url(listening))
    _server(app).run(sockets=[listening])


@contextmanager
def running(app: Door, address: Address = Address(port=0)) -> Generator[str]:
    """Serves in a thread while the block runs, which gets the address; for tests, and for trying things."""
    listening, server = listen(address), _server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="serves")
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        yield _url(listening)
    finally:
        server.should_exit = True
        thread.join()


def listen(address: Address) -> socket.socket:
    """A socket at an address.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family, backlog=1024)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            "A service listens where nobody else does",
            f"{address.host}:{address.port} ({error})",
            "Choose another --port.",
        ) from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(app: Any) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            access_log=False,
            ws="none",
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_LAST_WORDS,
        )
    )
