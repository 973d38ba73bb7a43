"""How well detectors find things: raccoons in five folds, digits on photos, and pictures per second.

    LIKEWISE_DATA=... python benchmarks/detect.py raccoons [--backbone efficientnet-lite0|darknet-tiny] [--epochs 12]
    LIKEWISE_DATA=... python benchmarks/detect.py digits [--backbone darknet-tiny] [--epochs 14] [--count 9000]
    python benchmarks/detect.py speed

In five folds every picture is looked at once by a network that has not seen it, nor a copy of it; all are then measured
together. Digits of the test lie over photos by webcams that no picture of training is by.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from common import mnist
from likewise.apps.detect import Detector
from likewise.apps.detect.report import precision_of
from likewise.apps.synthesize.pictures import PictureOptions, draw_pictures
from likewise.data.annotations import open_boxes
from likewise.encoder import Encoder, Head
from likewise.objective import Yolo
from likewise.training import Step, fit

FOLDS = 5
SIDE, STRIDE = 224, 32
PRETRAINED = "efficientnet-lite0"
EPOCHS = {"raccoons": 12, "digits": 14, "speed": 0}
DRAWN, TESTED = 9000, 500  # pictures with digits


def raccoons(backbone: str, epochs: int, seed: int) -> None:
    data = open_boxes(Path(os.environ["LIKEWISE_DATA"], "raccoons"))
    copy = np.unique(data.contents, return_inverse=True)[1]  # four pictures are there twice
    fold = (np.random.default_rng(seed).permutation(copy.max() + 1) % FOLDS)[copy]
    began, computed = time.perf_counter(), time.process_time()
    found, order, each = [], [], []
    for k in range(FOLDS):
        train, test = data.subset(np.flatnonzero(fold != k)), data.subset(np.flatnonzero(fold == k))
        model = Detector(trained(backbone, train, epochs, seed))
        boxes, looked_at, _ = model.look(test)
        found += boxes
        order += np.flatnonzero(fold == k).tolist()
        each.append(precision_of(boxes, looked_at, draws=0).map_50.value)
        print(f"fold {k + 1}: mAP@0.5 {each[-1]:.3f}, {time.process_time() - computed:.0f} s of one core", flush=True)
    whole = precision_of(found, data.subset(order))
    print(
        f"{backbone}, {epochs} epochs at {SIDE} pixels, seed {seed}: mAP@0.5"
        f" {whole.map_50.value:.3f} ({whole.map_50.low:.3f} to {whole.map_50.high:.3f}), mAP {whole.map.value:.3f} on"
        f" {len(data)} pictures; folds {min(each):.3f} to {max(each):.3f}; {(time.perf_counter() - began) / 60:.1f}"
        f" min, {(time.process_time() - computed) / 60:.1f} min of one core"
    )


def trained(backbone: str, train, epochs: int, seed: int) -> Encoder:
    head = Head("detect", train.names, per_cell=2, stride=STRIDE)
    if backbone == PRETRAINED:
        from likewise.encoder.imagenet import efficientnet_lite0_encoder

        before = efficientnet_lite0_encoder()
        how = replace(before.ready(), height=SIDE, width=SIDE, resize="pad")
        encoder = before.with_head(head, seed, how)
        encoder.fix(encoder.taps[-3])  # as `train --from efficientnet-lite0 --frozen`
    else:
        encoder = Encoder(backbone, head=head, size=SIDE, resize="pad", seed=seed)
    fit(encoder, train, Yolo(2), epochs=epochs, augment="scene", seed=seed)
    return encoder


def dealt_photos(root: Path, out: Path, seed: int) -> tuple[Path, Path]:
    """Photos to train and to test on, in folders of their own; those of one webcam, which have one size, together."""
    files = sorted(file for file in (root / "day-night").rglob("*.jpg")) + sorted((root / "pictures").glob("*.jpg"))
    sizes = [Image.open(file).size for file in files]
    webcam = np.unique(np.array(sizes), axis=0, return_inverse=True)[1].ravel()
    test = np.random.default_rng(seed).permutation(webcam.max() + 1)[: (webcam.max() + 1) // 4]
    for i, (file, held_out) in enumerate(zip(files, np.isin(webcam, test), strict=True)):
        folder = out / ("test" if held_out else "train")
        folder.mkdir(exist_ok=True)
        shutil.copyfile(file, folder / f"{i:04}.jpg")
    print(f"photos by {webcam.max() + 1 - len(test)} webcams to train, by {len(test)} to test", flush=True)
    return out / "train", out / "test"


def digits(backbone: str, epochs: int, count: int, seed: int) -> None:
    """MNIST's digits over photos; digits and webcams of the test are in no picture of training."""
    root = Path(os.environ["LIKEWISE_DATA"])
    train_digits, test_digits = mnist(str(root / "mnist"))
    how = PictureOptions(count=count, size=160, extent=(0.2, 0.5), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        to_train, to_test = dealt_photos(root, Path(folder), seed)
        train = draw_pictures(train_digits, to_train, how)
        test = draw_pictures(test_digits, to_test, replace(how, count=TESTED, seed=seed + 1))
    head = Head("detect", train.names, per_cell=2, stride=16)
    encoder = Encoder(backbone, head=head, size=how.size, resize="pad", seed=seed)
    began, computed = time.perf_counter(), time.process_time()

    def tell(step: Step) -> None:
        if step.step == step.steps:
            whole, core = time.perf_counter() - began, time.process_time() - computed
            print(f"epoch {step.epoch}: loss {step.loss:.3f}, {whole:.0f} s, {core:.0f} s of one core", flush=True)

    fit(encoder, train, Yolo(2), epochs=epochs, batch=16, augment="signs", seed=seed, watch=tell)
    minutes = [(now - then) / 60 for now, then in ((time.perf_counter(), began), (time.process_time(), computed))]
    boxes, looked_at, _ = Detector(encoder).look(test)
    found = precision_of(boxes, looked_at)
    print(
        f"digits on photos, {backbone}, {epochs} epochs of {len(train)} pictures of {how.size} pixels: mAP@0.5"
        f" {found.map_50.value:.3f} ({found.map_50.low:.3f} to {found.map_50.high:.3f}), mAP {found.map.value:.3f} on"
        f" {len(test)} pictures; {minutes[0]:.1f} min of training, {minutes[1]:.1f} min of one core"
    )


def speed(backbone: str) -> None:
    """Pictures per second of 416 pixels, decoded already, on all cores but never more than two."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    head = Head("detect", ("thing",), per_cell=2, stride=16)
    pictures = np.random.default_rng(0).integers(0, 256, (32, 416, 416, 3), np.uint8)
    encoder = Encoder(backbone, head=head, size=416, resize="pad")
    encoder.build(encoder.suiting(pictures[:2]))
    model = Detector(encoder.eval())
    model.detect(pictures[:4])
    rates, core = [], []
    for _ in range(5):
        began, computed = time.perf_counter(), time.process_time()
        model.detect(pictures)
        rates.append(len(pictures) / (time.perf_counter() - began))
        core.append(len(pictures) / (time.process_time() - computed))
    print(
        f"{backbone} at 416 pixels: {np.median(rates):.1f} pictures/s (of 5 runs {min(rates):.1f} to {max(rates):.1f}),"
        f" {np.median(core):.1f} in a second of one core"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["raccoons", "digits", "speed"])
    parser.add_argument("--backbone", default="")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--count", type=int, default=DRAWN, help="pictures with digits to train on")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    epochs = asked.epochs or EPOCHS[asked.what]
    warnings.simplefilter("ignore")
    if asked.what == "raccoons":
        raccoons(asked.backbone or PRETRAINED, epochs, asked.seed)
    elif asked.what == "digits":
        digits(asked.backbone or "darknet-tiny", epochs, asked.count, asked.seed)
    elif asked.what == "speed":
        speed(asked.backbone or "darknet-tiny")
