"""Work in the background: progress, cancelling, and that one failure ends nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_client import Served, served

from likewise.errors import DataError
from likewise.matching import Model, load
from likewise.server.jobs import WAITING, Job, Jobs
from likewise.server.refusals import Refusal


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


def ended(job: Job) -> Job:
    until = time.monotonic() + 30
    while job.ended is None and time.monotonic() < until:
        time.sleep(0.01)
    return job


def test_progress_and_answer(jobs: Jobs) -> None:
    go, told = threading.Event(), threading.Event()

    def work(progress):
        progress(3, 10, "encoding")
        told.set()
        assert go.wait(20)
        return {"clusters": []}

    job = jobs.add(work)
    assert told.wait(20)
    assert {key: job.as_dict()[key] for key in ("state", "done", "total", "text")} == {
        "state": "running", "done": 3, "total": 10, "text": "encoding",
    }  # fmt: skip
    go.set()
    assert ended(job).as_dict()["answer"] == {"clusters": []}
    assert (job.state, job.done, job.total) == ("done", 10, 10)


def test_cancelling_ends_it_at_its_next_step_and_one_that_waits_at_once(jobs: Jobs) -> None:
    began = threading.Event()

    def work(progress):
        began.set()
        for i in range(100_000):
            progress(i, 100_000, "")
            time.sleep(0.001)
        return {}

    running, waiting = jobs.add(work), jobs.add(work)
    assert began.wait(20)
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    assert ended(running).state == "cancelled"
    assert running.answer is None
    assert ended(jobs.add(lambda _: {"a": 1})).state == "done"


def test_failures_are_told_and_the_next_job_runs(jobs: Jobs) -> None:
    def refused(_):
        raise DataError("A rule", "something", "Do that.")

    assert ended(jobs.add(refused)).error == {
        "error": "A rule; got something. Do that.", "rule": "A rule", "received": "something", "remedy": "Do that.",
    }  # fmt: skip
    broken = ended(jobs.add(lambda _: {"a": 1 / 0}))
    assert broken.state == "failed"
    assert broken.error is not None
    assert "fault in likewise" in broken.error["error"]
    assert ended(jobs.add(lambda _: {})).state == "done"


def test_only_so_many_wait(jobs: Jobs) -> None:
    go, began = threading.Event(), threading.Event()

    def work(_):
        began.set()
        assert go.wait(20)
        return {}

    made = [jobs.add(work)]
    assert began.wait(20)
    made += [jobs.add(work) for _ in range(WAITING)]
    with pytest.raises(Refusal) as refused:
        jobs.add(work)
    assert refused.value.status == 503
    go.set()
    assert [ended(job).state for job in made] == ["done"] * (1 + WAITING)
    with pytest.raises(Refusal) as missing:
        jobs.get("none")
    assert missing.value.status == 404


def test_two_alone_are_held_to_less_than_the_published_distance(
    model_folder: Path, digit_folder: Path, tmp_path: Path
) -> None:
    """At 0.85 of it two pictures are no cluster, as they are one pair among many; three that lie so are."""
    encoder = load(model_folder).encoder
    a, b = (sorted((digit_folder / name).iterdir())[0] for name in ("0", "1"))
    encoder.published = Model(encoder).distance(a, b) / 0.85
    Model(encoder).save(tmp_path / "m")
    found: list[list[int]] = []
    with served(tmp_path, tmp_path / "m") as running:
        for pictures in ((a, b), (a, a, b)):
            sent = [("files", (f"{i}.png", file.read_bytes())) for i, file in enumerate(pictures)]
            answer = running.post("/v1/cluster", sent).json()
            job = ended(running.service.jobs.get(answer["id"])).as_dict()
            assert job["state"] == "done", job
            found.append([len(cluster["items"]) for cluster in job["answer"]["clusters"]])
    assert found == [[], [3]]


def test_pictures_are_clustered_as_the_library_does(enrolled: Served, digit_folder: Path) -> None:
    import numpy as np

    from likewise.apps.cluster import ClusterOptions, cut_of, find_clusters

    files = [file for digit in (0, 1, 6) for file in sorted((digit_folder / str(digit)).iterdir())[:8]]
    sent = [("files", (f"{i}.png", file.read_bytes())) for i, file in enumerate(files)]
    answer = enrolled.post("/v1/cluster", [*sent, ("files", ("bad.png", b"bad"))])
    assert answer.status_code == 202
    job = ended(enrolled.service.jobs.get(answer.json()["id"]))
    found = enrolled.client.get(f"/v1/jobs/{job.id}").json()
    assert found["state"] == "done", found
    assert [one["file"] for one in found["answer"]["skipped"]] == ["bad.png"]

    model = enrolled.service.asked(Model)
    labels = find_clusters(
        model.encode(files).embeddings, model.encoder.distance_on_cpu(), ClusterOptions(), threshold=cut_of(model)
    ).labels
    expected = [[f"{i}.png" for i in np.flatnonzero(labels == label)] for label in range(labels.max() + 1)]
    clusters = [[item["file"] for item in cluster["items"]] for cluster in found["answer"]["clusters"]]
    assert clusters == expected
    assert [item["file"] for item in found["answer"]["unassigned"]] == [
        f"{i}.png" for i in np.flatnonzero(labels == -1)
    ]
    assert found["done"] == found["total"] > 0

    refused = enrolled.post("/v1/cluster", sent[:2], method="hdbscan", fmr=0.1)
    assert refused.status_code == 400
    dropped = enrolled.client.delete(f"/v1/jobs/{job.id}").json()
    assert (dropped["state"], dropped["answer"]) == ("cancelled", None)
