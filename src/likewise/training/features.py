"""What stages that are not trained give, computed once and kept on disk for the next training.

The files lie in the cache of this machine, under the SHA-256 of the stages, their input and the items: none can be
taken for another. The oldest make room for new ones.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from likewise.assets import cache_folder
from likewise.encoder import Encoder, evaluating, read_tensors
from likewise.errors import DataError, ModelError
from likewise.media.files import replacing_file

FOLDER, SUFFIX = "features", ".safetensors"
KEPT_BYTES = 4 * 2**30  # of all files together
AT_ONCE = 256  # items
FEATURES = "features"


def fixed_outputs(encoder: Encoder, values: Tensor) -> Tensor:
    """(N, ...) whole numbers -> (N, ...) float32, what the last of the stages that `Encoder.fix` fixed gives.

    Read from the cache where it was computed before. Nothing is kept where the cache cannot be written.
    """
    file = _place(encoder, values)
    if file is not None and file.exists():
        try:
            return read_tensors(file)[FEATURES]
        except ModelError:  # damaged: computed anew, and written over
            pass
    assert encoder.fixed is not None
    found: list[Tensor] = []
    device = next(encoder.parameters()).device
    with evaluating(encoder), torch.inference_mode():
        for block in values.split(AT_ONCE):
            outputs = encoder(block.to(device), [encoder.fixed])[encoder.fixed]
            found.append(outputs.float().cpu())
    features = torch.cat(found).clone()  # out of inference mode
    if file is not None:
        _keep(file, features)
    return features


def _place(encoder: Encoder, values: Tensor) -> Path | None:
    """The file that these features have in the cache; None without one."""
    assert encoder.fixed is not None
    digest = hashlib.sha256(repr((encoder.ready().as_dict(), encoder.fixed, tuple(values.shape))).encode())
    stages = encoder.taps[: encoder.taps.index(encoder.fixed) + 1]
    for name, tensor in sorted(encoder.parameters_for_use().items()):
        if name.split(".")[1] in stages:
            digest.update(name.encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    digest.update(values.contiguous().view(torch.uint8).numpy().data)
    try:
        return cache_folder() / FOLDER / f"{digest.hexdigest()}{SUFFIX}"
    except DataError:
        return None


def _keep(file: Path, features: Tensor) -> None:
    if features.numel() * features.element_size() > KEPT_BYTES:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(file) as fresh:
            save_file({FEATURES: features.contiguous()}, fresh)
        held = sorted(file.parent.glob(f"*{SUFFIX}"), key=lambda other: other.stat().st_mtime, reverse=True)
        total = 0
        for other in held:
            total += other.stat().st_size
            if total > KEPT_BYTES:
                other.unlink(missing_ok=True)
    except (OSError, DataError):  # a full or locked disk costs time the next time, nothing else
        return
