"""A real Milvus for the tests, from the package `milvus`, that only programs of this machine can reach.

Milvus 2.3 listens on every network interface, whatever address its configuration names (`proxy.ip` is only what it
announces), and asks nobody for a password. So it runs in a network namespace that has nothing but a loopback interface.
What connects the two is this file, run as a program inside the namespace: its listening socket was made outside, on
127.0.0.1, and what arrives there it passes on. Ports never collide, and the server ends with the test run, however
that ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import lzma
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]
UP_WITHIN = 240  # seconds; on two idle cores it takes 3
SERVICE, HEALTH = 19530, 9091  # ports inside the namespace

# Rounds are shorter than the defaults, so that tests wait less, and what is deleted leaves the disk within seconds.
CONFIGURATION = """
etcd: {{use: {{embed: true}}, data: {{dir: {folder}/etcd}}, endpoints: "localhost:2379"}}
localStorage: {{path: {folder}/storage}}
mq: {{type: rocksmq}}
rocksmq: {{path: {folder}/rocksmq}}
common: {{storageType: local}}
log: {{level: warn, stdout: true}}
proxy: {{ip: 127.0.0.1, port: 19530, internalPort: 19529, timeTickInterval: 20}}
rootCoord: {{ip: 127.0.0.1, port: 53100}}
queryCoord: {{ip: 127.0.0.1, port: 19531, checkInterval: 100, checkSegmentInterval: 100, checkChannelInterval: 100,
  checkHandoffInterval: 100, distPullInterval: 50}}
queryNode: {{ip: 127.0.0.1, port: 21123}}
indexNode: {{ip: 127.0.0.1, port: 21121}}
dataCoord: {{ip: 127.0.0.1, port: 13333}}
dataNode: {{ip: 127.0.0.1, port: 21124}}
"""


def missing() -> str | None:
    """Why no server can be had here, or None."""
    if importlib.util.find_spec("pymilvus") is None:
        return "pymilvus (extra `milvus`) is not installed"
    if importlib.util.find_spec("milvus") is None:
        return "the package milvus==2.3.5, which brings a server, is not installed"
    if shutil.which("unshare") is None or subprocess.call([*NAMESPACE, "true"], stderr=subprocess.DEVNULL):
        return "Milvus listens on all interfaces, and here is no network namespace to be had that keeps it in"
    return None


def unpack(folder: Path) -> Path:
    """The server's program and libraries (250 MB, 9 s); the program."""
    spec = importlib.util.find_spec("milvus")
    assert spec is not None
    assert spec.origin is not None
    folder.mkdir(parents=True)
    for packed in (Path(spec.origin).parent / "data" / "bin").glob("*.lzma"):
        with lzma.open(packed) as source, (folder / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        (folder / packed.stem).chmod(0o755)
    return folder / "milvus"


class Server:
    """A Milvus that keeps its data in `folder`. Started again after a kill, it has them, at the same address."""

    def __init__(self, program: Path, folder: Path, **settings: str) -> None:
        """`settings` are those of the configuration, capitals only and without dots: DATACOORD_GC_INTERVAL."""
        self.program, self.folder, self.settings = program, folder, settings
        self.process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self) -> None:
        assert self.process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        host, port = self.address.split(":")
        with socket.create_server((host, int(port))) as listener, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*NAMESPACE, sys.executable, __file__, str(listener.fileno()), str(self.program), str(self.folder)],
                pass_fds=[listener.fileno()],
                env=os.environ | self.settings,
                stdin=subprocess.PIPE,  # the system closes it when this process ends, and that ends the other
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        up, _, _ = select.select([self.process.stdout], [], [], UP_WITHIN)
        if not up or not self.process.stdout.readline():
            self.kill()
            raise RuntimeError(f"Milvus did not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """As a power cut would. The server is a child of what was started, so the whole group is meant."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.process = None


async def stand_between(listener: socket.socket, program: Path, folder: Path) -> None:
    """Runs inside the namespace, until the parent or the server ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    (folder / "milvus.yaml").write_text(CONFIGURATION.format(folder=folder))
    (folder / "glog.conf").write_text("--logtostderr=true\n--minloglevel=2\n")
    settings = {
        "DEPLOY_MODE": "STANDALONE",
        "MILVUSCONF": str(folder),
        "MILVUS_RUN_DIR": str(folder / "run"),
        "LD_LIBRARY_PATH": str(program.parent),
    }
    milvus = await asyncio.create_subprocess_exec(
        program, "run", "standalone", cwd=folder, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    parent = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    try:
        while milvus.returncode is None and not await healthy():
            await asyncio.sleep(0.05)
        async with await asyncio.start_server(pass_on, sock=listener):
            sys.stdout.write("up\n")
            sys.stdout.flush()
            await asyncio.wait({parent, asyncio.ensure_future(milvus.wait())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        os.killpg(0, signal.SIGKILL)


async def healthy() -> bool:
    """Health is that of the parts which have registered; the one that answers clients is the last to do so."""
    with suppress(OSError):
        _, proxy = await asyncio.open_connection("127.0.0.1", SERVICE)
        proxy.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", HEALTH)
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return b" 200 " in answer and answer.endswith(b"OK")
    return False


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", SERVICE)
        await asyncio.gather(one_way(reader, inner_writer), one_way(inner_reader, writer))


async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as outside:
        asyncio.run(stand_between(outside, Path(sys.argv[2]), Path(sys.argv[3])))
