"""A gallery in one file: seconds of its searches beside NumPy's bare product, of enrolling and opening, and memory.

Run ``python benchmarks/gallery.py [ROWS]``; ROWS, a million, are those of the large gallery. Ratios are of medians over
rounds in which both sides take turns. Embeddings have 128 numbers. The large gallery has 1,000 clusters with noise, and
its probes are drawn like its rows; memory is the peak of a process of its own, Python and torch included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import machine, show
from likewise.gallery import ann
from likewise.gallery.exchange import import_records, write_parquet
from likewise.gallery.records import Records, new_ids
from likewise.gallery.sqlite import SqliteStore
from likewise.gallery.store import Description
from likewise.objective import Euclidean

DIM, ROWS, LARGE, CLUSTERS, NOISE, K = 128, 100_000, 1_000_000, 1000, 0.3, 10
AT_ONCE = 50_000  # rows of a transaction
Floats = NDArray[np.float32]


def rows_drawn(number: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((number, DIM), np.float32)


def clusters_drawn(number: int, seed: int) -> Floats:
    """Rows around centres that are the same for every seed."""
    rng = np.random.default_rng(seed)
    centres = rows_drawn(CLUSTERS, 0)
    return centres[rng.integers(0, CLUSTERS, number)] + NOISE * rng.standard_normal((number, DIM), np.float32)


def records(embeddings: Floats, seed: int) -> Records:
    """Five to a name, each with a hash of its own."""
    rng, number = np.random.default_rng(seed), len(embeddings)
    return Records(
        new_ids(number), [f"person {seed}-{i // 5}" for i in range(number)], embeddings,
        [rng.bytes(32).hex() for _ in range(number)], np.full(number, time.time()), [{}] * number, [None] * number,
    )  # fmt: skip


def made(file: Path) -> SqliteStore:
    return SqliteStore.create(str(file), Description("f" * 64, DIM, time.time(), {}), {})


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(ours: Callable[[], Any], bare: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Median seconds of each."""
    ours(), bare()
    taken = np.array([(seconds(ours), seconds(bare)) for _ in range(rounds)])
    return float(np.median(taken[:, 0])), float(np.median(taken[:, 1]))


def bare_query(rows: Floats, probe: Floats) -> NDArray[np.int64]:
    scores = rows @ probe
    best = np.argpartition(scores, -K)[-K:]
    return best[np.argsort(-scores[best])]


def bare_product(rows: Floats, probes: Floats, out: Floats) -> None:
    for start in range(0, len(rows), len(out)):
        part = rows[start : start + len(out)]
        np.matmul(part, probes, out=out[: len(part)])


def small(folder: Path) -> None:
    """Enrolling and searching 100,000 rows."""
    embeddings, probes, distance = rows_drawn(ROWS, 1), rows_drawn(1000, 2), Euclidean()
    held = records(embeddings, 1)
    with_all = made(folder / "small.gallery")
    adding = seconds(lambda: with_all.add(held))
    write_parquet(folder / "small.parquet", "f" * 64, DIM, with_all.records())
    other = made(folder / "imported.gallery")
    importing = seconds(lambda: import_records(other, folder / "small.parquet"))
    other.remove()
    show(
        f"enrolling {ROWS:,} x {DIM} in bulk",
        [
            ("one transaction", f"{ROWS / adding:,.0f} rows/s (asked: 50,000)"),
            ("from Parquet, with all its checks", f"{ROWS / importing:,.0f} rows/s"),
        ],
    )
    ours, bare = in_turns(
        lambda: with_all.search(probes[:1], K, distance), lambda: bare_query(embeddings, probes[0]), 51
    )
    columns, out = probes.T.copy(), np.empty((4096, len(probes)), np.float32)
    many, product = in_turns(
        lambda: with_all.search(probes, K, distance), lambda: bare_product(embeddings, columns, out), 7
    )
    show(
        f"exact search of {ROWS:,} x {DIM}",
        [
            ("one query", f"{ours * 1e3:.2f} ms"),
            ("NumPy's product and top-10", f"{bare * 1e3:.2f} ms; ratio {ours / bare:.2f} (asked: at most 1.3)"),
            ("1,000 queries in one call", f"{many:.3f} s"),
            ("NumPy's blocked product alone", f"{product:.3f} s; ratio {many / product:.2f} (asked: at most 1.3)"),
        ],
    )
    with_all.close()
    opening = [apart(opened, folder / "small.gallery") for _ in range(3)]
    show("opening it", [("open and first query", f"{np.median(opening):.2f} s (asked: under 0.5)")])


def opened(file: Path) -> float:
    probe, distance = rows_drawn(1, 2), Euclidean()
    return seconds(lambda: SqliteStore.open(str(file)).search(probe, K, distance))


def filled(file: Path, number: int) -> float:
    """Peak megabytes of making and searching a large gallery."""
    with_all = made(file)
    for start in range(0, number, AT_ONCE):
        with_all.add(records(clusters_drawn(min(AT_ONCE, number - start), 100 + start), 100 + start))
    found = with_all.search(clusters_drawn(1000, 1), K, Euclidean())
    with_all.forget(found.ids[:, 0])
    with_all.search(clusters_drawn(1000, 1), K, Euclidean())
    with_all.close()
    return peak_megabytes()


def approximate(file: Path, number: int) -> dict[str, float]:
    """Exact and approximate search of the same rows."""
    ann.FROM = number // 2  # so that less than a million can be tried
    distance, probes = Euclidean(), clusters_drawn(1000, 1)
    exact, close = SqliteStore.open(str(file)), SqliteStore.open(f"{file}?index=faiss")
    reading, building = (seconds(lambda store=store: store.search(probes[:1], K, distance)) for store in (exact, close))
    truth, found = exact.search(probes, K, distance).ids, close.search(probes, K, distance).ids
    recall = sum(len(set(a) & set(b)) for a, b in zip(truth, found, strict=True)) / truth.size
    one = iter(range(10**9))
    turns = in_turns(
        lambda: exact.search(probes[(i := next(one) % 1000) : i + 1], K, distance),
        lambda: close.search(probes[(i := next(one) % 1000) : i + 1], K, distance),
        31,
    )
    many = in_turns(lambda: exact.search(probes, K, distance), lambda: close.search(probes, K, distance), 3)
    return {"recall": recall, "one": turns[0] / turns[1], "ms": turns[1] * 1e3, "many": many[0] / many[1],
            "building": building - reading}  # fmt: skip


def peak_megabytes() -> float:
    """Of this process; Linux only."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def apart(work: Callable[..., Any], *given: object) -> Any:
    """In a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def main() -> None:
    print(machine())
    number = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small(folder)
        peak = apart(filled, folder / "large.gallery", number)
        show(
            f"{number:,} x {DIM}: enrolled, searched, a thousand forgotten, searched again",
            [("peak memory", f"{peak:,.0f} MB (asked: under 1,500)")],
        )
        found = apart(approximate, folder / "large.gallery", number)
        show(
            f"the same with ?index=faiss, {CLUSTERS:,} clusters with noise",
            [
                ("recall@10", f"{found['recall']:.4f} (asked: at least 0.97)"),
                ("one query", f"{found['ms']:.2f} ms, {found['one']:.0f} times as fast as exact (asked: 20)"),
                ("1,000 queries in one call", f"{found['many']:.1f} times as fast as exact"),
                ("making the index", f"{found['building']:.0f} s"),
            ],
        )


if __name__ == "__main__":
    main()
