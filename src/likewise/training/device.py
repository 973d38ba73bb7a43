"""Where training runs, and in which precision."""

from __future__ import annotations

from typing import Literal

import torch

from likewise.errors import UsageError

Precision = Literal["float32", "bfloat16"]


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one.

    Raises:
        UsageError: unknown, or not on this machine.
    """
    try:
        device = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            "A device is one this machine has", f"{name!r}: {str(error).splitlines()[0]}", "Use auto."
        ) from error
    return device


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision called `name`; "auto" is "bfloat16" where the processor gains from it.

    Processors without bfloat16 instructions (AVX512-BF16, AMX) emulate it and are slower with it than with float32.
    """
    if name == "float32" or name == "bfloat16":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # There is no public way to ask.
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
    return "bfloat16" if native else "float32"
