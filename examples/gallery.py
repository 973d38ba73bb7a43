"""Enrol from a few pictures each, ask who is at the door, take a newcomer without training, and forget somebody.

    python examples/gallery.py [FOLDER]     # a folder of folders, some 10 pictures of each person or more

One learns how a gallery answers with a name, "unsure" or "unknown", and what its promise is made of. A stranger here is
one whom nobody has enrolled; the network has met all of them. From a shell: `likewise enrol`, `identify`, `forget`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from sample_data import folder_from_arguments

import likewise as lw


def main() -> None:
    data = lw.folder(folder_from_arguments())
    train, tune, rest = data.split(0.6, 0.2, 0.2, by="item", seed=0)
    encoder = lw.Encoder("convnet-small", dim=64)
    lw.fit(encoder, train, lw.SupCon(), epochs=10, seed=0)
    model = lw.calibrate(encoder, tune)  # as strict as the data bear: one look is many comparisons

    unused = {name: [s for s, i in zip(rest.sources, rest.labels, strict=True) if data.names[i] == name]
              for name in data.names}  # fmt: skip
    unused = {name: items for name, items in unused.items() if len(items) > 1}
    if len(unused) < 2:
        raise SystemExit("a fifth of the pictures is to enrol and to ask about: two people need 10 pictures each")
    *members, stranger = unused
    enrolled = {name: items[: min(5, len(items) // 2)] for name, items in unused.items()}
    asked = {name: items[len(enrolled[name]) :] for name, items in unused.items()}

    with lw.Gallery.open(Path(tempfile.mkdtemp(), "door.gallery"), model) as gallery:
        for name in members:
            gallery.enrol(name, enrolled[name])
        print(f"the promise: {gallery.lines().in_words()}")
        tell(gallery, "members", {name: asked[name] for name in members})
        tell(gallery, f"{stranger}, a stranger", {stranger: asked[stranger]})
        gallery.enrol(stranger, enrolled[stranger])
        tell(gallery, f"{stranger}, enrolled", {stranger: asked[stranger]})
        done = gallery.forget(members[0])
        tell(gallery, f"{done.name}, forgotten", {members[0]: asked[members[0]]})


def tell(gallery: lw.Gallery, who: str, asked: dict[str, list[object]]) -> None:
    said: Counter[str] = Counter()
    for name, items in asked.items():
        for probe in gallery.identify(items):
            decision = probe.decision
            said["another name" if decision.outcome == "known" and decision.name != name else decision.outcome] += 1
    print(f"{who}: {', '.join(f'{outcome} {count}' for outcome, count in sorted(said.items()))}")


if __name__ == "__main__":
    main()
