"""Sort a folder of pictures nobody has labelled: a folder per person or thing, and corrections that are kept.

    python examples/cluster.py [FOLDER]

One learns to group pictures by what a model learned from others, to correct the result with a file manager's means, by
renaming folders and moving files, and to run it again when more pictures have come. The same from a shell: `likewise
cluster MODEL FOLDER --out groups`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sample_data import folder_from_arguments

import likewise as lw
from likewise.apps.cluster import Clustered, cluster_folder


def main() -> None:
    data = lw.folder(folder_from_arguments())
    train, tune, rest = data.split(0.5, 0.2, 0.3, by="item", seed=0)
    encoder = lw.Encoder("convnet-small", dim=64)
    lw.fit(encoder, train, lw.SupCon(), epochs=10, seed=0)
    model = lw.calibrate(encoder, tune)  # tells at which distance two pictures are no longer surely the same

    root = Path(tempfile.mkdtemp())
    half = len(rest) // 2
    copy(rest.subset(range(half)), root / "pictures")
    tell("the first pictures", cluster_folder(model, root / "pictures", root / "groups"))

    # What a person does with a file manager: name a folder, and take a picture out of another.
    (root / "groups" / "cluster-001").rename(root / "groups" / "mine")
    moved = sorted((root / "groups" / "cluster-002").iterdir())[0]
    moved.rename(root / "groups" / "mine" / moved.name)

    copy(rest.subset(range(half, len(rest))), root / "pictures")
    tell("all pictures", cluster_folder(model, root / "pictures", root / "groups"))
    print(f"kept: {(root / 'groups' / 'mine' / moved.name).exists()}")


def copy(data: lw.Dataset, folder: Path) -> None:
    for source, label in zip(data.sources, data.labels, strict=True):
        place = folder / data.names[label] / Path(str(source)).name  # in folders by name, so that it can be judged
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(source), place)


def tell(what: str, done: Clustered) -> None:
    print(f"{what}: {len(done.clusters)} clusters, {len(done.unassigned)} unassigned, {done.corrections} corrections")
    print(f"  the largest: {', '.join(f'{g.name} ({len(g.items)})' for g in done.clusters[:4])}")
    if done.agreement is not None:
        print(f"  BCubed precision {done.agreement.bcubed_precision:.3f}, F {done.agreement.bcubed_f:.3f}")


if __name__ == "__main__":
    main()
