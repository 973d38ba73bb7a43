"""The encoder: architecture + parameters + preprocessing + named taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, final, overload

import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.backbones import BACKBONES, SMALLEST_SIDE
from likewise.encoder.encoding import Encoding, digest_of, evaluating
from likewise.encoder.files import PARAMETERS, read_tensors
from likewise.encoder.grids import answering, gridded
from likewise.encoder.head import Head
from likewise.encoder.kinds import Wanted, preprocessing_from
from likewise.encoder.preprocessing import Item, Preprocessing
from likewise.encoder.seen import Seen
from likewise.encoder.sequences import SEQUENCES, StepTimes, step_times
from likewise.encoder.sounds import Sounds
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import Resize
from likewise.objective.distances import DISTANCES, Distance, Euclidean
from likewise.prepare import Finder

EMBEDDING = "embedding"  # the last tap
USUAL_DIM = 128
LAST = f"stages.{EMBEDDING}."  # how parameters of the last stage are called
NETWORKS = {**BACKBONES, **SEQUENCES}


@final
class Encoder(Encoding, nn.Module):
    """Turns items into embeddings: (N, C, H, W) -> (N, D); with a sequence as backbone one at every step: (N, S, D);
    with a head that detects one at every cell of a grid: (N, R, S, D).

    An encoder made without preprocessing takes its shape from the data it is first fitted to (`build`).

    Args:
        backbone: a name from `BACKBONES`, or from `SEQUENCES` to hear a stream.
        dim: D, length of an embedding, at least 1; None for 128, or for as many outputs as `head` has.
        head: what the outputs say where they are answers; None for an embedding.
        preprocessing: how items become tensors; None to take it from the training data.
        size: side, or (height, width), in pixels that pictures are brought to when preprocessing comes from the data;
            None for what suits them (see `Pictures.of`).
        resize: how: "squash" (where None), "pad" or "crop".
        grey: whether colour is left out; else it is kept where pictures have some.
        prepare: finds the parts of a picture that are encoded; None to encode all of it.
        seconds, rate: length and hertz that sounds are brought to, likewise.
        unit: whether embeddings have unit length; None to do what the objective asks for.
        distance: what embeddings are compared with; training puts the objective's in its place.
        seed: of the initial weights.

    Raises:
        UsageError: unknown backbone, impossible dimension, pictures too small for the backbone.
    """

    def __init__(
        self,
        backbone: str = "convnet-small",
        dim: int | None = None,
        *,
        head: Head | None = None,
        preprocessing: Preprocessing | None = None,
        size: int | tuple[int, int] | None = None,
        resize: Resize | None = None,
        grey: bool = False,
        prepare: Finder | None = None,
        seconds: float | None = None,
        rate: int | None = None,
        unit: bool | None = None,
        distance: Distance | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if backbone not in NETWORKS:
            raise UsageError(f"A backbone is one of {', '.join(NETWORKS)}", repr(backbone))
        if head is not None and (dim or head.outputs) != head.outputs:
            raise UsageError(f"An encoder with this head has {head.outputs} outputs", f"dim={dim}", "Leave dim out.")
        dim = (USUAL_DIM if head is None else head.outputs) if dim is None else dim
        if not 1 <= dim <= 65536:
            raise UsageError("An embedding has 1 to 65536 dimensions", dim, "64 and 128 are usual.")
        self.backbone, self.dim, self.head, self.seed = backbone, dim, head, seed
        self.fixed: str | None = None  # the last of the stages that training leaves as they are; see `fix`
        self.unit = bool(unit)
        self.follows_objective = unit is None  # then fit sets `unit` to what the objective asks for
        self.wanted = Wanted(size, resize, grey, prepare, seconds, rate)
        self.preprocessing = preprocessing
        self.trained: dict[str, Any] = {}  # how it was trained, JSON-ready; filled by fit
        self.seen = Seen()  # and on what, by content; filled by fit
        self.stages = nn.ModuleDict()
        self.distance: Distance = distance or Euclidean()
        if preprocessing is not None:
            self.build(preprocessing)

    def suiting(self, items: Sequence[Item] | NDArray[Any], seconds: float | None = None) -> Preprocessing:
        """The preprocessing for `items` that was asked for and that the backbone needs; see `Wanted.suiting`.

        Args:
            items: what is to be read.
            seconds: that sounds are brought to where nothing else was asked; None for what suits them.
        """
        wanted = self.wanted if self.wanted.seconds is not None else replace(self.wanted, seconds=seconds)
        found = wanted.suiting(items)
        if isinstance(found, Sounds) and self.backbone in SEQUENCES:
            return replace(found, streamed=True)
        return found

    def build(self, preprocessing: Preprocessing) -> None:
        """Makes the layers for items of this shape; the same seed gives the same weights.

        Raises:
            UsageError: the pictures are too small for the backbone; or it hears a stream, and these are no part of one.
        """
        streamed = isinstance(preprocessing, Sounds) and preprocessing.streamed
        if self.backbone in SEQUENCES and not streamed:
            raise UsageError(
                f"Backbone {self.backbone} hears sounds as a stream",
                f"{'sounds of their own' if isinstance(preprocessing, Sounds) else preprocessing.kind + 's'}",
                "Train it with --task triggerword.",
            )
        least = SMALLEST_SIDE.get(self.backbone, 4)
        if min(preprocessing.shape[1:]) < least:
            raise UsageError(
                f"Backbone {self.backbone} takes pictures, or spectrograms, of at least {least} pixels a side",
                " x ".join(map(str, preprocessing.shape[1:])),
                "Pass a larger size or another backbone.",
            )
        self.preprocessing = preprocessing
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed would seed the GPUs too
            network = NETWORKS[self.backbone](preprocessing.shape)
            if self.head is not None and self.head.stride:
                network = gridded(network, preprocessing.shape, self.head.stride)
                last = answering(network.features, self.head)
            else:
                last = nn.Linear(network.features, self.dim)
            self.stages = nn.ModuleDict({**network.stages, EMBEDDING: last})
        self.front = preprocessing.front()

    def with_head(self, head: Head, seed: int = 0, preprocessing: Preprocessing | None = None) -> Encoder:
        """Another encoder with the same stages and weights, but for the last: that is a new one for `head`.

        Args:
            head: what its outputs say; a grid has a neck of its own before them, and no pooling.
            seed: of new weights.
            preprocessing: another size, or another way to bring pictures to it; None for the same.
        """
        made = Encoder(self.backbone, head=head, preprocessing=preprocessing or self.ready(), seed=seed)
        others = (LAST, "distance.")  # what compared embeddings compares no answers
        there = made.state_dict()
        kept = {name: v for name, v in self.state_dict().items() if name in there and not name.startswith(others)}
        made.load_state_dict({**there, **kept})
        made.trained, made.seen = self.trained, self.seen
        return made.eval()

    def fix(self, through: str) -> None:
        """Keeps the stages up to the tap `through` as they are: training changes only those behind it.

        Raises:
            UsageError: unknown tap, or the last.
        """
        if through not in self.taps[:-1]:
            raise UsageError(f"Stages that may be fixed are {', '.join(self.taps[:-1])}", repr(through))
        self.fixed = through
        for stage in self._fixed_stages():
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """As of every module; stages that are fixed keep their running figures too."""
        super().train(mode)
        for stage in self._fixed_stages():
            stage.train(False)
        return self

    def _fixed_stages(self) -> list[nn.Module]:
        fixed = self.taps.index(self.fixed) + 1 if self.fixed is not None else 0
        return list(self.stages.values())[:fixed]

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the inner outputs, from the first stage to "embedding"."""
        return tuple(self.stages)

    @property
    def step_times(self) -> StepTimes | None:
        """When the output of each step is known; None for encoders with one embedding per item."""
        if self.backbone not in SEQUENCES:
            return None
        how = self.ready()
        assert isinstance(how, Sounds)  # `build` saw to it
        return step_times(self.backbone, how)

    @property
    def embedded(self) -> tuple[int, ...]:
        """See `Encoding`."""
        times, how = self.step_times, self.ready()
        if times is not None:
            return times.count(how.layout[0]), self.dim
        stride = 0 if self.head is None else self.head.stride
        return (how.shape[1] // stride, how.shape[2] // stride, self.dim) if stride else (self.dim,)

    @property
    def parameters_count(self) -> int:
        """How many numbers training may change."""
        return sum(p.numel() for p in self.parameters())

    @overload
    def forward(self, x: Tensor) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, taps: Sequence[str]) -> dict[str, Tensor]: ...
    def forward(self, x: Tensor, taps: Sequence[str] | None = None) -> Tensor | dict[str, Tensor]:
        """Items (N, ...) as whole numbers, or floats of at most 1 -> (N, *embedded), or one tensor per asked tap.

        Args:
            x: (N, C, H, W) of pictures, uint8 or float in [0, 1]; (N, T) of sounds, int16 or float in [-1, 1]. Pieces
                of a stream may be of any length that gives a step.
            taps: names from `taps`; what lies behind the last of them is not computed.

        Raises:
            UsageError: wrong shape or unknown tap.
        """
        return self.from_features(self.features(x), taps)

    def features(self, x: Tensor) -> Tensor:
        """Items -> (N, C, H, W) float: what the first stage of the network sees.

        Raises:
            UsageError: wrong shape.
        """
        preprocessing = self.ready()
        times = self.step_times
        fits = x.shape[1:] == preprocessing.layout if times is None else x.ndim == 2 and times.count(x.shape[1]) > 0
        if not fits:
            raise UsageError(f"This encoder takes items of shape {preprocessing.layout}", tuple(x.shape[1:]))
        return self.front(preprocessing.scaled(x))

    @overload
    def from_features(self, h: Tensor, taps: None = None, *, after: str | None = None) -> Tensor: ...
    @overload
    def from_features(self, h: Tensor, taps: Sequence[str], *, after: str | None = None) -> dict[str, Tensor]: ...
    @overload
    def from_features(
        self, h: Tensor, taps: Sequence[str] | None, *, after: str | None = None
    ) -> Tensor | dict[str, Tensor]: ...
    def from_features(
        self, h: Tensor, taps: Sequence[str] | None = None, *, after: str | None = None
    ) -> Tensor | dict[str, Tensor]:
        """The rest of `forward`; of stages `after` a tap, given what that gave, only these.

        Raises:
            UsageError: unknown tap.
        """
        wanted = {EMBEDDING} if taps is None else set(taps)
        unknown = wanted - set(self.stages)
        if unknown:
            raise UsageError(f"Taps of this encoder are {', '.join(self.stages)}", ", ".join(sorted(unknown)))
        found: dict[str, Tensor] = {}
        h = h.contiguous(memory_format=torch.channels_last) if h.ndim == 4 else h
        done = 0 if after is None else self.taps.index(after) + 1
        for name, stage in list(self.stages.items())[done:]:
            if len(found) == len(wanted):
                break
            h = stage(h)
            if name == EMBEDDING and self.unit:
                h = F.normalize(h.float(), dim=1)  # in bfloat16 lengths would be 1 +- 0.004
            if name in wanted:
                found[name] = h
        return found[EMBEDDING] if taps is None else found

    def embed(self, values: Tensor) -> Tensor:
        """(N, ...) whole numbers -> (N, D) float32 on the CPU."""
        device = next(self.parameters()).device
        with evaluating(self), torch.inference_mode():
            found = self(values.to(device)).float().cpu()
        return found.clone()  # out of inference mode

    def architecture(self) -> dict[str, Any]:
        """All but the parameters, JSON-ready; `Encoder.from_architecture` makes it again with initial weights."""
        return {
            "engine": "torch",
            "backbone": self.backbone,
            "dim": self.dim,
            "unit": self.unit,
            "taps": list(self.taps),
            "distance": {"name": self.distance.name, **self.distance.options()},
            "published": self.published,
            "head": None if self.head is None else self.head.as_dict(),
            "preprocessing": self.ready().as_dict(),
        }

    def parameters_for_use(self) -> dict[str, Tensor]:
        """Parameters and running figures by name, on the CPU, in one canonical memory layout."""
        return {name: value.detach().cpu().contiguous().clone() for name, value in self.state_dict().items()}

    def fingerprint(self) -> str:
        """SHA-256 over architecture and parameters: equal exactly where embeddings are comparable."""
        return digest_of(
            self.architecture(),
            [
                (f"{name} {tensor.dtype} {tuple(tensor.shape)}", tensor.reshape(-1).view(torch.uint8).numpy().data)
                for name, tensor in sorted(self.parameters_for_use().items())
            ],
        )

    def write_parameters(self, folder: Path) -> None:
        """Writes ``model.safetensors``."""
        save_file(self.parameters_for_use(), folder / PARAMETERS)

    @classmethod
    def read(cls, architecture: dict[str, Any], folder: Path) -> Encoder:
        """The encoder whose parameters are in `folder`.

        Raises:
            ModelError: the description is not one this version understands, or the file is missing or damaged.
        """
        encoder = cls.from_architecture(architecture)
        try:
            encoder.load_state_dict(read_tensors(folder / PARAMETERS))
        except RuntimeError as error:
            raise ModelError(
                "A model's parameters fit its architecture",
                str(error).split("\n")[1].strip(),
                "Copy the folder again.",
            ) from error
        return encoder.eval()

    @classmethod
    def from_architecture(cls, values: dict[str, Any]) -> Encoder:
        """An encoder with initial weights.

        Raises:
            ModelError: the description is not one this version understands.
        """
        try:
            distance = dict(values["distance"])
            encoder = cls(
                values["backbone"],
                values["dim"],
                head=None if values["head"] is None else Head.from_dict(values["head"]),
                distance=DISTANCES[distance.pop("name")](**distance),
                preprocessing=preprocessing_from(values["preprocessing"]),
            )
            encoder.unit = bool(values["unit"])
            encoder.published = None if values["published"] is None else float(values["published"])
            if list(encoder.taps) != values["taps"]:
                raise ValueError(f"taps {', '.join(encoder.taps)}, the model says {', '.join(values['taps'])}")
        except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:  # RuntimeError: too large
            raise ModelError(
                "A model's architecture is one this version knows",
                str(error),
                "Use the version that wrote it.",
            ) from error
        return encoder
