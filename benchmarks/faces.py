"""Faces: errors of `dlib-face-128` on two sets, a threshold kept, counts, albums, and speed beside dlib.

    LIKEWISE_DATA=... python benchmarks/faces.py [errors] [promise] [counts] [albums] [speed] [scratch] [--splits 50]

LIKEWISE_DATA holds faces-orl and faces-johns (a folder per person) and faces-groups. Speed is photos per second from
file to embedding beside a plain loop over dlib's own detector, landmarks and network in the same process; both take
turns. scratch trains on half of the people of faces-orl and is tested on the other half.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import likewise as lw
from common import machine, show
from likewise.apps.cluster import ClusterOptions, cluster_folder
from likewise.calibration import calibrate, rates_at
from likewise.matching import load
from likewise.media.pictures import read_picture
from likewise.objective import Euclidean, make_objective
from likewise.prepare import finder_called

DATA = Path(os.environ.get("LIKEWISE_DATA", ""))
COUNTED = {  # by eye where that can be told; the data's README has the same
    "2007_007763.jpg": 7, "2008_001009.jpg": 2, "2008_001322.jpg": 3, "2008_002079.jpg": 6, "bald_guys.jpg": 24,
    "dogs.jpg": 0,
}  # fmt: skip
NAME = "dlib-face-128"


def errors(_: argparse.Namespace) -> None:
    """EER and P@1 of both sets."""
    for name, asked in (("faces-johns", 0.005), ("faces-orl", 0.01)):
        report = lw.evaluate(load(NAME), lw.folder(DATA / name))
        eer = report.verification.eer
        rows = [
            ("EER", f"{eer.value:.2%} ({eer.low:.2%} to {eer.high:.2%}; asked: at most {asked:.1%})"),
            ("P@1", f"{report.retrieval.precision_at_1:.4f} (asked: 1.000)"),
            ("photos without a face", ", ".join(file for file, _ in report.skipped) or "none"),
        ]
        show(f"{name}: {len(report.labelled.data)} photos of {report.labelled.data.identities} people", rows)


def promise(chosen: argparse.Namespace) -> None:
    """A threshold set on half of the people of faces-orl, and what it does on the other half."""
    labelled = load(NAME).encode_labelled(lw.folder(DATA / "faces-orl"))
    people = np.unique(labelled.labels.numpy())
    held, refused, promised = 0, [], []
    for seed in range(chosen.splits):
        half = np.random.default_rng(seed).permutation(people)[: len(people) // 2]
        first = torch.from_numpy(np.isin(labelled.labels.numpy(), half))
        set_on = calibrate(labelled.embeddings[first], labelled.labels[first], Euclidean(), unit="identity", seed=seed)
        line = set_on.threshold_for()
        others = torch.unique(labelled.labels[~first], return_inverse=True)[1]
        others, order = others.sort(stable=True)
        rest = labelled.embeddings[~first][order]
        (found,) = rates_at([line.threshold], rest, others, Euclidean(), "identity")
        # Two estimates of one rate: their difference has the error of both (Newcombe 1998).
        p, q = line.fmr, found.fmr
        held += (
            q.value - p.value <= np.hypot(p.high - p.value, q.value - q.low)
            if q.value > p.value
            else p.value - q.value <= np.hypot(p.value - p.low, q.high - q.value)
        )
        refused.append(found.fnmr.value)
        promised.append(line.promised)
    show(
        f"a threshold from half of the people of faces-orl, on the other half, {chosen.splits} splits",
        [
            ("promised FMR", ", ".join(f"{value:g} in {promised.count(value)}" for value in sorted(set(promised)))),
            ("FMR of the others inside the interval", f"{held / chosen.splits:.0%} of splits"),
            ("FNMR of the others", f"{np.median(refused):.2%} (median), at most {max(refused):.2%}"),
        ],
    )


def counts(_: argparse.Namespace) -> None:
    """Faces on each of six photos."""
    finder = finder_called("faces")
    rows = []
    for name, counted in COUNTED.items():
        parts = finder.find(read_picture(DATA / "faces-groups" / name, mode="RGB"))
        flawed = sum(part.flaw is not None for part in parts)
        rows.append((name, f"{len(parts)}, of which {flawed} too poor to decide by (counted: {counted})"))
    show("faces on photos", rows)


def albums(_: argparse.Namespace) -> None:
    """All photos of both sets in one folder, into 25 people; and photos of people who are there once."""
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary, "photos")
        for name in ("faces-johns", "faces-orl"):
            for person in sorted((DATA / name).iterdir()):
                shutil.copytree(person, photos / f"{name} {person.name}", copy_function=shutil.copyfile)
        began = time.perf_counter()
        found = cluster_folder(load(NAME), photos, Path(temporary, "albums"), ClusterOptions(method="agglomerative"))
        took = time.perf_counter() - began
    assert found.agreement is not None
    show(
        "albums of 255 photos of 25 people",
        [
            ("clusters", str(len(found.clusters))),
            ("BCubed F", f"{found.agreement.bcubed_f:.4f} (asked: at least 0.97)"),
            ("without a face", str(len(found.empty))),
            ("seconds", f"{took:.1f}"),
        ],
    )
    with tempfile.TemporaryDirectory() as temporary:
        alone = cluster_folder(load(NAME), DATA / "faces-groups", Path(temporary, "albums"))
    rows = [("clusters", f"{len(alone.clusters)} (right: 0)"), ("unassigned", str(len(alone.unassigned)))]
    show("albums of photos of strangers, nobody twice", rows)


def speed(_: argparse.Namespace) -> None:
    """Photos per second, from file to embedding."""
    import dlib

    model = load(NAME)
    files = sorted((DATA / "faces-orl").rglob("*.*"))[:100] + sorted((DATA / "faces-johns").rglob("*.jpg"))[:20]
    weights = Path(find_spec("face_recognition_models").origin or "").parent / "models"
    detector = dlib.get_frontal_face_detector()
    landmarks = dlib.shape_predictor(str(weights / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(weights / "dlib_face_recognition_resnet_model_v1.dat"))

    def plain() -> None:
        for file in files:
            picture = np.array(Image.open(file).convert("RGB"))
            for face in detector(picture, 1):
                network.compute_face_descriptor(dlib.get_face_chip(picture, landmarks(picture, face)))

    taken = []
    for _ in range(3):
        began = time.perf_counter()
        model.encode_parts(files)
        middle = time.perf_counter()
        plain()
        taken.append((middle - began, time.perf_counter() - middle))
    ours, bare = np.median(taken, axis=0)
    show(
        f"from file to embedding, {len(files)} photos",
        [
            ("likewise", f"{len(files) / ours:.1f} photos/s"),
            ("a loop over dlib", f"{len(files) / bare:.1f} photos/s; ratio {bare / ours:.2f} (asked: at least 1.7)"),
        ],
    )


def scratch(_: argparse.Namespace) -> None:
    """Trained on half of the people of faces-orl, tested on the other half."""
    rows = []
    for seed in range(3):
        train, test = lw.folder(DATA / "faces-orl").split(0.5, 0.5, by="identity", seed=seed)
        encoder = lw.Encoder("convnet", dim=128, size=(56, 46), seed=seed)
        options = lw.FitOptions(epochs=60, lr=3e-3, augment="photo", average=0.99, seed=seed)
        objective = make_objective("softmax", dim=128, classes=train.identities, seed=seed)
        history = lw.fit(encoder, train, objective, options=options)
        report = lw.evaluate(encoder, test)
        eer = report.verification.eer
        rows.append(
            (f"seed {seed}: EER", f"{eer.value:.1%} ({eer.low:.1%} to {eer.high:.1%}), {history.seconds:.0f} s")
        )
    show("trained from scratch on 10 people, tested on 10 others (asked: under 10%, aim 5%)", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["errors", "promise", "counts", "albums", "speed", "scratch"])
    parser.add_argument("--splits", type=int, default=50)
    chosen = parser.parse_args()
    print(machine())
    for part in chosen.parts:
        globals()[part](chosen)
