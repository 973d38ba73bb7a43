import json

import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.apps.synthesize.cutouts import cut_out, visible
from likewise.errors import DataError, UsageError
from likewise.media.pictures import read_picture

SIZE = 96


@pytest.fixture
def photos(tmp_path):
    """Ten noisy photos of mid grey, each of a level of its own; the file says which."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(10):
        pixels = rng.integers(60 + 2 * i, 80 + 2 * i, (130, 200, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def squares(count=20):
    """White squares and, of another class, white bars, on black, well inside."""
    pictures = np.zeros((count, 20, 20), np.uint8)
    for i in range(count):
        pictures[i, 4 : 14 if i % 2 else 8, 5:15] = 255
    return lw.arrays(pictures, ["square" if i % 2 else "bar" for i in range(count)])


def drawn(photos, things=None, **options):
    asked = {"count": 30, "size": SIZE, "contrast": 0.0, "brightness": (1.0, 1.0)} | options
    return lw.draw_pictures(squares() if things is None else things, photos, lw.PictureOptions(**asked), workers=1)


def bright(pixels):
    """Where the white of an object is, on photos that are darker than 110."""
    return pixels[..., 0] > 130


def test_boxes_are_the_bounds_of_what_is_visible(photos):
    """Every bright pixel lies in a box, and each box is filled by them."""
    data = drawn(photos, extent=(0.3, 0.3))
    assert len(data) == 30
    seen = 0
    for pixels, boxes in zip(data.sources, data.boxes, strict=True):
        there = bright(pixels)
        inside = np.zeros_like(there)
        for x, y, width, height in boxes.astype(int):
            part = there[y : y + height, x : x + width]
            assert part[1:-1, 1:-1].all()  # white but for a soft edge
            inside[y : y + height, x : x + width] = True
            seen += 1
        assert not (there & ~inside).any()
    assert seen > 40


def test_what_fades_at_the_edge_is_inside_the_box(photos):
    """The same scenes with and without brightness differ exactly in the boxes, up to their last rows and columns."""
    light = drawn(photos, extent=(0.2, 0.5))
    dark = drawn(photos, extent=(0.2, 0.5), brightness=(0.0, 0.0))
    np.testing.assert_array_equal(light.every_box, dark.every_box)
    for one, other, boxes in zip(light.sources, dark.sources, light.boxes, strict=True):
        differ = (one != other).any(axis=2)
        for x, y, width, height in boxes.astype(int):
            rows = np.flatnonzero(differ[y : y + height, x : x + width].any(axis=1))
            columns = np.flatnonzero(differ[y : y + height, x : x + width].any(axis=0))
            assert rows[0] <= 1
            assert rows[-1] >= height - 2
            assert columns[0] <= 1
            assert columns[-1] >= width - 2
            differ[y : y + height, x : x + width] = False
        assert not differ.any()


def test_classes_extents_numbers_and_gaps_are_as_asked(photos):
    data = drawn(photos, count=60, objects=(2, 3), extent=(0.1, 0.2), gap=5)
    assert data.names == ("bar", "square")
    counts = [len(each) for each in data.boxes]
    assert set(counts) == {2, 3}
    longer = data.every_box[:, 2:].max(axis=1)
    assert longer.min() >= np.floor(0.1 * SIZE) - 1
    assert longer.max() <= np.ceil(0.2 * SIZE)
    assert np.ptp(longer) > 5
    wide = data.every_box[data.every_label == 0]
    assert (wide[:, 2] > 1.8 * wide[:, 3]).all()  # bars are bars
    assert 0.35 < data.every_label.mean() < 0.65
    for boxes in data.boxes:
        for i in range(len(boxes)):
            for j in range(i):
                apart = np.maximum(boxes[i, :2], boxes[j, :2]) - np.minimum(
                    boxes[i, :2] + boxes[i, 2:], boxes[j, :2] + boxes[j, 2:]
                )
                assert apart.max() >= 5


def test_the_same_seed_gives_the_same_and_another_another(photos):
    one, again, other = drawn(photos), drawn(photos), drawn(photos, seed=1)
    np.testing.assert_array_equal(one.sources, again.sources)
    np.testing.assert_array_equal(one.every_box, again.every_box)
    assert (one.sources != other.sources).any()
    more = lw.draw_pictures(
        squares(), photos, lw.PictureOptions(count=40, size=SIZE, contrast=0.0, brightness=(1, 1)), workers=2
    )
    np.testing.assert_array_equal(more.sources[:30], one.sources)  # neither number nor threads change them


def test_shares_have_no_object_and_no_photo_in_common(tmp_path, photos):
    used = []
    for i, take in enumerate(((0, 0.6), (0.6, 1))):
        out = tmp_path / f"out{i}"
        lw.synthesize_pictures(squares(), photos, out, lw.PictureOptions(count=60, size=SIZE, take=take))
        manifest = json.loads((out / "annotations.json").read_text())
        used.append(
            (
                {each["object"] for each in manifest["annotations"]},
                {each["background"] for each in manifest["images"]},
            )
        )
    assert not used[0][0] & used[1][0]
    assert not used[0][1] & used[1][1]
    assert len(used[0][0] | used[1][0]) == 20
    assert len(used[0][1] | used[1][1]) == 10


def test_groups_of_objects_stay_together(tmp_path, photos):
    for i in range(12):
        (tmp_path / "objects" / "dot").mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares().sources[1]).save(tmp_path / "objects" / "dot" / f"{'abc'[i % 3]}-{i}.png")
    seen = []
    for take in ((0, 0.34), (0.34, 1)):
        out = tmp_path / f"out{take[0]}"
        options = lw.PictureOptions(count=40, size=SIZE, take=take, group_from="^([abc])-")
        lw.synthesize_pictures(tmp_path / "objects", photos, out, options)
        manifest = json.loads((out / "annotations.json").read_text())
        seen.append({each["object"].rsplit("/")[-1][0] for each in manifest["annotations"]})
    assert seen == [{"a"}, {"b", "c"}]


def test_an_object_stands_out_from_what_is_under_it(photos):
    """White where brightness is 1, on photos of 60 to 100: at half as bright it is 128, at 0.35 89, too like them."""
    data = drawn(photos, brightness=(0.35, 0.35), contrast=0.3, extent=(0.3, 0.4), objects=(1, 1))
    for pixels, boxes in zip(data.sources, data.boxes, strict=True):
        for x, y, width, height in boxes.astype(int):
            inner = pixels[y + 3 : y + height - 3, x + 3 : x + width - 3].astype(float)
            around = np.median(pixels.astype(float))
            assert abs(inner.mean() - around) > 0.25 * 255


def made_to_differ(pixels, boxes, alpha):
    """How much each object changed the mean luminance of where it is, on a photo of one colour, by its alpha."""
    luma = np.array([0.299, 0.587, 0.114])
    for x, y, width, height in boxes.astype(int):
        weight = np.asarray(Image.fromarray(alpha).resize((width, height), Image.Resampling.BILINEAR), float)
        part = pixels[y : y + height, x : x + width].astype(float) - pixels[0, 0]
        yield abs(float(((part @ luma) * weight).sum() / weight.sum()))


def disc(inside):
    """(40, 40, 4): a disc of colours `inside` (40, 40, 3), all of it opaque."""
    away = np.hypot(*(np.mgrid[:40, :40] - 19.5))
    return np.concatenate([inside, np.where(away < 19.5, 255, 0)[..., None]], axis=2).astype(np.uint8)


def levels(dark, share=0.0):
    """(40, 40, 3) of one level, of which a `share` is a highlight of 250, in stripes."""
    rows = np.arange(40) % 10 < 10 * share
    return np.where(rows[:, None, None], 250, dark) + np.zeros((40, 40, 3), int)


@pytest.mark.parametrize(
    ("inside", "photo"),
    [
        (levels(0), 10),
        (levels(0), 40),
        (levels(3), 20),
        (levels(40, 0.5), 128),
        (levels(60, 0.3), 120),
        (levels(255), 230),
    ],
)
def test_objects_that_no_gain_shows_are_lifted(tmp_path, inside, photo):
    """Black on dark, highlights cut off at white on grey: rendered, they differ by the contrast all the same."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (2 * SIZE, 2 * SIZE), (photo,) * 3).save(tmp_path / "photos" / "a.png")
    thing = disc(inside)
    options = {"contrast": 0.2, "brightness": (0.6, 1.0), "objects": (1, 1), "extent": (0.3, 0.4)}
    data = drawn(tmp_path / "photos", lw.arrays(thing[None], ["disc"]), count=10, **options)
    assert sum(map(len, data.boxes)) == 10
    for pixels, boxes in zip(data.sources, data.boxes, strict=True):
        pixels[0, 0] = photo  # a disc leaves the corner of its box
        assert all(each >= 0.2 * 255 - 0.5 for each in made_to_differ(pixels, boxes, thing[..., 3]))


def test_what_is_hardly_opaque_is_left_out_and_counted(tmp_path, photos):
    ghost = disc(levels(255))
    ghost[..., 3] //= 5
    made = lw.synthesize_pictures(
        lw.arrays(np.stack([ghost, disc(levels(255))]), ["ghost", "disc"]), photos, tmp_path / "out",
        lw.PictureOptions(count=20, size=SIZE, objects=(1, 2), extent=(0.2, 0.3), contrast=0.2),
    )  # fmt: skip
    assert list(made.classes) == ["disc"]
    assert made.unseen > 0
    assert made.as_dict()["unseen"] == made.unseen
    drawn = sum(len(each) for each in lw.open_boxes(tmp_path / "out").boxes)
    assert (drawn, made.left_out) == (made.boxes, 0)


@pytest.mark.parametrize("faint", [1, 31])
def test_a_halo_is_in_no_box(photos, faint):
    """A disc of 16 x 16 in a halo of 62 x 62 that nobody sees."""
    thing = np.full((64, 64, 4), 255, np.uint8)
    thing[..., 3] = 0
    thing[1:63, 1:63, 3] = faint
    thing[24:40, 24:40, 3] = 255
    data = drawn(photos, lw.arrays(thing[None], ["x"]), extent=(0.25, 0.25), objects=(1, 1))
    for pixels, ((x, y, width, height),) in zip(data.sources, (each.astype(int) for each in data.boxes), strict=True):
        rows, columns = (np.flatnonzero(bright(pixels).any(axis=axis)) for axis in (1, 0))
        assert (
            np.abs(np.array([x, y, x + width, y + height]) - [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).max()
            <= 1
        )


def test_a_written_folder_is_read_as_boxes(tmp_path, photos):
    options = lw.PictureOptions(count=12, size=SIZE)
    made = lw.synthesize_pictures(squares(), photos, tmp_path / "out", options)
    data = lw.open_boxes(tmp_path / "out")
    memory = lw.draw_pictures(squares(), photos, options)
    assert data.problems == ()
    assert (len(data), int(data.counts().sum())) == (made.pictures, made.boxes) == (12, len(memory.every_box))
    np.testing.assert_array_equal(data.every_box, memory.every_box)
    np.testing.assert_array_equal(data.every_label, memory.every_label)
    assert data.names == memory.names
    for source, pixels in zip(data.sources, memory.sources, strict=True):
        assert np.abs(read_picture(source).astype(int) - pixels).mean() < 6  # JPEG of noise
    assert made.files == {"objects": 20, "backgrounds": 10}
    assert made.as_dict()["manifest"] == str(tmp_path / "out" / "annotations.json")
    assert memory.group_names == tuple(dict.fromkeys(memory.group_names[i] for i in memory.groups))
    record = json.loads((tmp_path / "out" / "pictures.json").read_text())
    assert record["finished"] is True
    assert record["made_from"]["--extent"] == [0.125, 0.5]


def test_it_goes_on_where_it_was_stopped_and_only_with_the_same(tmp_path, photos):
    options = lw.PictureOptions(count=8, size=SIZE)
    lw.synthesize_pictures(squares(), photos, tmp_path / "out", options)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out" / "images").iterdir()}
    (tmp_path / "out" / "annotations.json").unlink()
    (tmp_path / "out" / "images" / "00003.jpg").unlink()
    lw.synthesize_pictures(squares(), photos, tmp_path / "out", options)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out" / "images").iterdir()} == before
    with pytest.raises(UsageError, match=r"not as then: --size"):
        lw.synthesize_pictures(squares(), photos, tmp_path / "out", lw.PictureOptions(count=8, size=80))
    with pytest.raises(UsageError, match=r"not as then: objects_from"):
        lw.synthesize_pictures(squares(18), photos, tmp_path / "out", options)


class TestCutOut:
    def test_alpha_counts_where_there_is_one(self):
        pixels = np.zeros((4, 4, 4), np.uint8)
        pixels[1:3, 1, 3] = 200
        found, plain = cut_out(pixels)
        assert plain
        np.testing.assert_array_equal(found, pixels)
        assert visible(found) == (1, 3, 1, 2)

    @pytest.mark.parametrize(("around", "ink"), [(0, 255), (255, 0), (20, 200), (240, 60)])
    def test_a_plain_border_is_taken_away(self, around, ink):
        pixels = np.full((12, 12, 4), around, np.uint8)
        pixels[..., 3] = 255
        pixels[4:8, 4:8, :3] = ink
        pixels[3, 4:8, :3] = (around + ink) // 2  # an edge that fades
        found, plain = cut_out(pixels)
        assert plain
        assert visible(found) == (3, 8, 4, 8)
        assert (found[4:8, 4:8, 3] == 255).all()
        assert np.abs(found[4:8, 4:8, :3].astype(int) - ink).max() <= 1
        assert np.abs(found[3, 4:8, 3].astype(int) - 128).max() <= 2  # half of it is the border's
        assert np.abs(found[3, 4:8, :3].astype(int) - ink).max() <= 3

    def test_a_grey_inside_stays_solid(self):
        pixels = np.full((30, 30, 4), 255, np.uint8)
        pixels[5:25, 5:25, :3] = 0
        pixels[10:20, 10:20, :3] = 150
        found, _ = cut_out(pixels)
        assert (found[13:17, 13:17, 3] == 255).all()
        np.testing.assert_array_equal(found[13:17, 13:17, :3], 150)

    def test_an_object_may_touch_the_border(self):
        pixels = np.zeros((12, 12, 4), np.uint8)
        pixels[..., 3] = 255
        pixels[0:6, 4:8, :3] = 255
        found, plain = cut_out(pixels)
        assert plain
        assert visible(found) == (0, 6, 4, 8)

    def test_anything_else_is_an_object_as_a_whole(self):
        pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
        pixels[..., 3] = 255
        found, plain = cut_out(pixels)
        assert not plain
        np.testing.assert_array_equal(found, pixels)

    def test_nothing_is_visible_of_nothing(self):
        pixels = np.full((5, 5, 4), 255, np.uint8)
        found, _ = cut_out(pixels)
        assert visible(found) is None


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"count": 0}, "At least 1"),
            ({"seed": -1}, "seed"),
            ({"size": 8}, "rows and columns"),
            ({"size": 5_000}, "rows and columns"),
            ({"objects": (3, 2)}, "Objects are"),
            ({"objects": (-1, 2)}, "Objects are"),
            ({"objects": (1, 101)}, "Objects are"),
            ({"extent": (0.0, 0.5)}, "extent"),
            ({"extent": (0.6, 0.5)}, "extent"),
            ({"extent": (0.6, 1.5)}, "extent"),
            ({"extent": (0.1, float("nan"))}, "extent"),
            ({"brightness": (-1, 1)}, "brightness"),
            ({"contrast": 0.7}, "contrast"),
            ({"gap": -1}, "gap"),
            ({"gap": 1.5}, "gap"),
            ({"gap": float("inf")}, "gap"),
            ({"take": (0.5, 0.5)}, "share"),
            ({"group_from": "("}, "regular expression"),
        ],
    )
    def test_options_that_cannot_be(self, change, said):
        with pytest.raises(UsageError, match=said):
            lw.PictureOptions(**change)

    def test_files_that_cannot_be_read_are_told(self, tmp_path, photos):
        (tmp_path / "objects" / "dot").mkdir(parents=True)
        Image.fromarray(squares().sources[1]).save(tmp_path / "objects" / "dot" / "a.png")
        Image.new("L", (9, 9), 255).save(tmp_path / "objects" / "dot" / "empty.png")
        (tmp_path / "objects" / "dot" / "bad.png").write_text("no picture")
        (photos / "bad.jpg").write_text("no picture")
        made = lw.synthesize_pictures(
            tmp_path / "objects", photos, tmp_path / "out", lw.PictureOptions(count=2, size=SIZE)
        )
        assert made.files == {"objects": 1, "backgrounds": 10}
        skipped = dict(made.skipped)
        assert skipped["dot/empty.png"] == "nothing of it is visible"
        assert "A picture is one of" in skipped["dot/bad.png"]
        assert len(skipped) == 3

    def test_nothing_that_can_be_used(self, tmp_path, photos):
        (tmp_path / "empty" / "x").mkdir(parents=True)
        (tmp_path / "empty" / "x" / "bad.png").write_text("no picture")
        with pytest.raises(DataError, match="none of 1: x/bad"):
            drawn(photos, tmp_path / "empty")
        with pytest.raises(DataError, match="backgrounds can be used"):
            drawn(tmp_path / "empty" / "x")
        with pytest.raises(DataError, match="Take a larger share"):
            drawn(photos, take=(0, 0.01))
        with pytest.raises(DataError, match="which is not there"):
            drawn(photos, tmp_path / "gone")
        with pytest.raises(UsageError, match="Pass --background"):
            drawn([])

    def test_sounds_are_no_objects(self, photos):
        with pytest.raises(DataError, match="holds pictures"):
            drawn(photos, lw.arrays(np.linspace(-1, 1, 200).reshape(2, 100), [0, 1]))

    def test_out_may_not_lie_in_a_pile_or_hold_something_else(self, tmp_path, photos):
        with pytest.raises(UsageError, match="outside of what it is made from"):
            lw.synthesize_pictures(squares(), photos, photos / "out")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(UsageError, match="new or empty"):
            lw.synthesize_pictures(squares(), photos, tmp_path / "out")

    def test_what_has_no_room_is_left_out_and_counted(self, tmp_path, photos):
        options = lw.PictureOptions(count=5, size=SIZE, objects=(6, 6), extent=(0.6, 0.9))
        made = lw.synthesize_pictures(squares(), photos, tmp_path / "out", options)
        assert made.left_out > 0
        assert made.boxes + made.left_out == 30

    def test_more_than_memory_holds(self, photos):
        with pytest.raises(UsageError, match="8 GiB"):
            drawn(photos, count=1_000_000)
