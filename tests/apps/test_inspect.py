"""Filters, feature maps, what is opened, and the folder that all of it is written to."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.apps.inspect import (
    FeatureMaps,
    InspectOptions,
    feature_maps,
    first_filters,
    inspect,
    open_encoder,
    read_shown,
)
from likewise.apps.learn import Learned
from likewise.apps.triggerword import LearnedTrigger
from likewise.data import Dataset
from likewise.encoder import Encoder, Head, Pictures, Sounds
from likewise.errors import DataError, ModelError, UsageError


def encoder_of(backbone: str, *, channels: int = 1, side: int = 16, head: Head | None = None) -> Encoder:
    half = (0.5,) * channels
    how = Pictures(channels, side, side, mean=half, std=half)
    return Encoder(backbone, None if head else 8, head=head, preprocessing=how, seed=0).eval()


def picture(channels: int = 1, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)


class TestFilters:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_of_a_convolution(self, channels: int) -> None:
        encoder = encoder_of("tutorial", channels=channels)
        found = first_filters(encoder)
        assert found.stage == "conv1"
        np.testing.assert_array_equal(found.weights, encoder.stages["conv1"][0].weight.detach().numpy())
        assert found.shown.tolist() == list(range(32))
        assert found.draw().height > 4 * 70

    def test_what_sees_all_pixels_has_filters_as_large_as_the_item(self) -> None:
        encoder = encoder_of("linear", channels=3)
        found = first_filters(encoder)
        assert (found.stage, found.weights.shape) == ("embedding", (8, 3, 16, 16))
        seen = torch.randn(3, 16, 16)
        with torch.inference_mode():
            answer = float(
                encoder.stages["embedding"](seen.flatten()[None])[0, 5] - encoder.stages["embedding"].bias[5]
            )
        assert float((torch.from_numpy(found.weights[5]) * seen).sum()) == pytest.approx(answer, abs=1e-5)

    def test_of_many_the_strongest_are_shown(self) -> None:
        found = first_filters(encoder_of("mlp"))
        norms = np.linalg.norm(found.weights.reshape(512, -1), axis=1)
        assert set(found.shown.tolist()) == set(np.argsort(-norms)[:64].tolist())
        assert "64 strongest of 512" in found.said()

    def test_of_sounds_high_bands_are_above(self) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=Sounds.at(8000, 0.5), seed=0)
        weight = encoder.stages["conv1"][0].weight.detach().numpy()
        np.testing.assert_array_equal(first_filters(encoder).weights, weight[:, :, ::-1])
        stream = Encoder("conv-gru", 1, preprocessing=Sounds.at(8000, 0.5, streamed=True), seed=0)
        weight = stream.stages["conv1"].convolution.weight.detach().numpy()
        np.testing.assert_array_equal(first_filters(stream).weights[:, 0], weight[:, ::-1])

    def test_colours_are_those_of_the_weights(self) -> None:
        """A red filter is red, and one that wants dark in one place is blue there."""
        encoder = encoder_of("tutorial", channels=3)
        with torch.no_grad():
            encoder.stages["conv1"][0].weight[0] = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
        tile = np.asarray(first_filters(encoder).draw())[60, 40]  # within the first tile
        assert tile.tolist() == [255, 128, 128]
        grey = encoder_of("tutorial")
        with torch.no_grad():
            grey.stages["conv1"][0].weight[0] = -1.0
        red, _, blue = np.asarray(first_filters(grey).draw())[60, 40].tolist()
        assert red < 50 < 150 < blue


class TestFeatureMaps:
    def test_they_are_the_outputs_of_every_tap(self) -> None:
        encoder = encoder_of("convnet-small")
        item = read_shown(encoder, picture())
        found = feature_maps(encoder, item)
        assert [one.tap for one in found] == list(encoder.taps)
        with torch.inference_mode():
            outputs = encoder(torch.from_numpy(picture()).permute(2, 0, 1)[None], list(encoder.taps))
        for one in found:
            expected = outputs[one.tap][0].numpy()
            np.testing.assert_allclose(one.maps.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
            assert one.draw().width > 50

    def test_the_strongest_channels_are_shown_in_order(self) -> None:
        encoder = encoder_of("convnet-small")
        last = feature_maps(encoder, read_shown(encoder, picture()))[3]
        peaks = np.abs(last.maps).max(axis=(1, 2))
        assert last.maps.shape[0] == 128
        assert set(last.shown().tolist()) == set(np.argsort(-peaks, kind="stable")[:64].tolist())
        assert (np.diff(last.shown()) > 0).all()

    def test_a_map_is_drawn_where_it_lies(self) -> None:
        """White where the channel answers most: the tile of channel 0, found in the picture by its place."""
        encoder = encoder_of("tutorial")
        with torch.no_grad():
            encoder.stages["conv1"][0].weight.zero_()
            encoder.stages["conv1"][0].bias.zero_()
            encoder.stages["conv1"][0].weight[0, 0, 2, 2] = 1.0
        lit = np.zeros((16, 16, 1), np.uint8)
        lit[4, 10] = 255
        first = feature_maps(encoder, read_shown(encoder, lit))[0]
        maps = first.maps[0]
        assert np.unravel_index(maps.argmax(), maps.shape) == (1, 4)  # places of 2 x 2, from pixel 2 on
        drawn = np.asarray(first.draw())
        tile = drawn[44 : 44 + 6 * 14, 14 : 14 + 6 * 14, 0]  # 6 x 6 places of 14 pixels
        y, x = np.unravel_index(tile.argmax(), tile.shape)
        assert (y // 14, x // 14) == (1, 4)
        assert "31 of them say nothing" in first.said()

    def test_one_that_stands_out_does_not_hide_all_others(self) -> None:
        maps = np.full((4, 20, 20), 1.0, np.float32)
        maps[0, 0, 0] = 1000.0
        found = FeatureMaps("conv1", maps, ["0", "1", "2", "3"], answers=False)
        assert found.most == 1.0
        assert (np.asarray(found.draw())[50, 130] == 255).all()  # within the second tile

    def test_answers_have_the_names_of_classes(self) -> None:
        encoder = encoder_of("convnet-small", head=Head("multiclass", ("cat", "dog")))
        last = feature_maps(encoder, read_shown(encoder, picture()))[-1]
        assert (last.names, last.answers) == (["cat", "dog"], True)

    @pytest.mark.parametrize("backbone", ["conv-gru", "conv-lstm"])
    def test_along_time(self, backbone: str) -> None:
        how = Sounds.at(8000, 1.0, streamed=True)
        encoder = Encoder(backbone, 1, preprocessing=how, seed=0).eval()
        found = feature_maps(
            encoder, read_shown(encoder, (np.random.default_rng(0).normal(0, 3000, 8000)).astype("i2"))
        )
        steps = encoder.step_times.count(8000)
        assert [one.maps.shape[0] for one in found] == [64, 64, 96, 1]
        assert [one.maps.shape[1:] for one in found[1:]] == [(1, steps)] * 3
        assert all("over" in one.said() for one in found)
        assert all(one.draw().width > 200 for one in found)


class TestOpening:
    def test_every_task(self, model_folder: Path, trigger: LearnedTrigger) -> None:
        assert open_encoder(model_folder).backbone == "mlp"
        assert open_encoder(trigger.folder).step_times is not None

    def test_no_model(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="A model is a folder"):
            open_encoder(tmp_path / "none")

    def test_another_engine_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        from onnx_drawn import embedder

        from likewise.apps.import_model import import_model

        file, _ = embedder(tmp_path / "net.onnx")
        import_model(file, std=(255.0,)).save(tmp_path / "m")
        with pytest.raises(UsageError, match=r"torch computes.*onnx computes as a whole.*likewise map"):
            open_encoder(tmp_path / "m")

    def test_a_picture_of_other_channels_is_read_as_the_model_reads_it(self, tmp_path: Path) -> None:
        colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(colour).save(tmp_path / "colour.png")
        Image.fromarray(colour).convert("L").save(tmp_path / "grey.png")
        grey = encoder_of("tutorial")
        one, other = (read_shown(grey, tmp_path / name) for name in ("colour.png", "grey.png"))
        assert one.features.shape == (1, 1, 16, 16)
        torch.testing.assert_close(one.features, other.features, atol=0.02, rtol=0)
        assert read_shown(encoder_of("tutorial", channels=3), tmp_path / "grey.png").features.shape == (1, 3, 16, 16)
        assert one.name == "colour.png"

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "text.png").write_text("no picture")
        for name in ("text.png", "nosuch.png"):
            with pytest.raises(DataError, match=name):
                read_shown(encoder_of("tutorial"), tmp_path / name)


class Images(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.sources.append(dict(attrs)["src"] or "")


class TestInspect:
    def test_a_folder_of_pictures_and_a_page_that_explains_them(self, learned: Learned, tmp_path: Path) -> None:
        encoder = open_encoder(learned.folder)
        found = inspect(encoder, tmp_path / "out", picture(side=8), picture(side=8)[::-1], name="<model>")
        names = [one.file.name for one in found.sections]
        assert names == [
            "similarity.png", "given.png", "filters.png", "features-hidden1.png", "features-hidden2.png",
            "features-embedding.png",
        ]  # fmt: skip
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
            [*names, "index.html", "inspect.json"]
        )
        for one in found.sections:
            with Image.open(one.file) as drawn:
                assert min(drawn.size) > 30
        page = (tmp_path / "out" / "index.html").read_text()
        shown = Images(page)
        assert shown.sources == names
        assert "script" not in shown.tags
        assert "What &lt;model&gt; looks for" in page
        assert json.loads((tmp_path / "out" / "inspect.json").read_text()) == found.as_dict()
        assert -1 <= found.similarity <= 1

    def test_without_an_item_there_are_the_filters(self, tmp_path: Path) -> None:
        found = inspect(encoder_of("convnet-small"), tmp_path / "out")
        assert [one.file.name for one in found.sections] == ["filters.png"]
        assert found.similarity is None

    def test_channels_and_patches_where_asked(self, digits: Dataset, tmp_path: Path) -> None:
        encoder, said = encoder_of("convnet-small", side=8), list[str]()
        found = inspect(
            encoder, tmp_path / "out", options=InspectOptions(optimise=True, tap="conv2", channel=3),
            data=digits.subset(np.arange(40)), say=said.append,
        )  # fmt: skip
        assert [one.file.name for one in found.sections] == ["filters.png", "sought-conv2.png", "patches-conv2.png"]
        assert said == ["The model was trained on none of these 40 items: patches are looked for in all of them."]

    def test_patches_are_of_what_was_trained_on(self, learned: Learned, digits: Dataset, tmp_path: Path) -> None:
        encoder, said = open_encoder(learned.folder), list[str]()
        found = inspect(encoder, tmp_path / "out", data=digits, say=said.append)
        assert said == []
        patches = next(one for one in found.sections if one.file.name == "patches-hidden1.png")
        assert f"{len(learned.parts.train):,} items" in patches.said

    def test_what_was_there_stays_unless_all_is_well(self, tmp_path: Path) -> None:
        encoder = encoder_of("convnet-small")
        inspect(encoder, tmp_path / "out", picture())
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        with pytest.raises(UsageError, match="Taps of this model"):
            inspect(encoder, tmp_path / "out", picture(), options=InspectOptions(tap="nosuch"))
        with pytest.raises(DataError):
            inspect(encoder, tmp_path / "out", tmp_path / "none.png")
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
        inspect(encoder, tmp_path / "out")  # replaced as a whole
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "filters.png",
            "index.html",
            "inspect.json",
        ]
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "index.html").write_text("my own page")
        with pytest.raises(UsageError, match=r"inspect\.json"):
            inspect(encoder, tmp_path / "mine")
        with pytest.raises(UsageError, match="second"):
            inspect(encoder, tmp_path / "out", None, picture())

    def test_a_stream(self, trigger: LearnedTrigger, tmp_path: Path) -> None:
        encoder = open_encoder(trigger.folder)
        sound = np.zeros(encoder.ready().layout, np.int16)
        found = inspect(encoder, tmp_path / "out", sound)
        assert [one.file.name for one in found.sections][:3] == ["given.png", "filters.png", "features-conv1.png"]
        with pytest.raises(UsageError, match="hears a stream"):
            inspect(encoder, tmp_path / "out", sound, sound)
