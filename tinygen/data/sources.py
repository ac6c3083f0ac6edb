"""The table of image data sets: what their files are called, where they are, how they are read.

Adding a data set is adding a row to SOURCES. Its `sha256` reads as `sha256sum` prints: a name as
it is published (`x.gz`, an archive) covers those very bytes; a bare name covers the unpacked
content, which is the same however it was compressed. The sums of MNIST, KMNIST and CIFAR-10 are
those of TensorFlow Datasets' lists (MNIST's content: many public copies agree). Fashion-MNIST's
were recomputed from Debian's dataset-fashion-mnist, whose streams give the published .gz files,
bit for bit, once the original gzip header (name and time) is put back.

The digits are the 1,797 images of optdigits.tes, the writer-independent test part of "Optical
Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository,
doi:10.24432/C50P49, CC BY 4.0). digits.npz (images, labels, attribution) was made from the copy
in scikit-learn, datasets/data/digits.csv.gz, one line an image, 64 pixels and the label:

    rows = np.loadtxt("digits.csv.gz", delimiter=",").astype(np.uint8)
    images, labels = rows[:, :64].reshape(-1, 1, 8, 8), rows[:, 64]
    np.savez_compressed("digits.npz", images=images, labels=labels, attribution=...)

Their split: the file is a row of 14 filled-in forms of at most 130 digits, visible in the labels,
which run 0123456789 three times and then through the same list of digits in every form. The first
11 forms (1,415 images) are "train", the last 3 (382) are "test", so that no form is on both sides.
The source counts 13 writers and names none, so one of them filled in two forms; whether
those two are on different sides cannot be seen. (A cut after 1,437 would divide the 12th form.)
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backend import Array
from ..tensor import wrap
from .fonts import CHARACTERS, GROUPS
from .formats import PathLike, idx_size, parse_cifar10, parse_idx

__all__ = ["SOURCES", "Source"]

Pair = tuple[Array, Array]
Triple = tuple[Array, Array, dict[str, Any]]

DIGITS_TRAIN = 1415


def _parse_digits(contents: dict[str, bytearray], split: str) -> Pair:
    rows = {"train": slice(DIGITS_TRAIN), "test": slice(DIGITS_TRAIN, None), "all": slice(None)}
    file = _arrays(contents)
    return file["images"][rows[split]], file["labels"][rows[split]]


def _parse_emoji(contents: dict[str, bytearray], split: str) -> Triple:
    """The pictures, and as details: line (N, 1, 32, 32), a drawing aligned with each; symbola
    (M, 1, 32, 32), drawings by another hand of those where `drawn` (N,) is true; code points."""
    file = _arrays(contents)
    kept = _side(file["test"], split)
    drawn, lines = file["drawn"], bytes(file["text"]).decode().split("\n")
    names, subgroups = zip(*(line.split("\t") for line, keep in zip(lines, kept) if keep))
    details = {
        "line": wrap(file["line"][kept][:, None]),
        "symbola": wrap(file["symbola"][kept[drawn]][:, None]),
        "drawn": wrap(drawn[kept]),
        "codes": file["codes"][kept],
        "subgroups": subgroups,
    }
    images = np.ascontiguousarray(file["images"][kept].transpose(0, 3, 1, 2))
    return images, file["labels"][kept], {"captions": names, "details": details}


def _parse_letters(contents: dict[str, bytearray], split: str) -> Triple:
    """62 characters a font, and as details: font (N,), the font's place in `fonts`, their names."""
    file = _arrays(contents)
    kept = _side(file["test"], split)
    names = tuple(n for n, keep in zip(bytes(file["text"]).decode().split("\n"), kept) if keep)
    images = file["images"].reshape(len(kept), 62, 1, 32, 32)[kept].reshape(-1, 1, 32, 32)
    details = {"font": wrap(np.repeat(np.arange(len(names)), 62)), "fonts": names}
    captions = tuple(f"{character} in {name}" for name in names for character in CHARACTERS)
    labels = np.tile(np.arange(62), len(names))
    return images, labels, {"captions": captions, "details": details}


def _arrays(contents: dict[str, bytearray]) -> dict[str, Array]:
    """The arrays of an .npz; ValueError where it is damaged."""
    ((path, content),) = contents.items()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: a damaged .npz ({error}); install tinygen again") from error


def _side(test: Array, split: str) -> Array:
    """Which rows belong to a split."""
    return {"train": ~test, "test": test, "all": np.ones(len(test), bool)}[split]


def _idx_pair(images_name: str, images: bytearray, labels_name: str, labels: bytearray) -> Pair:
    x, y = parse_idx(images, images_name), parse_idx(labels, labels_name)
    for array, name, ndim in ((x, images_name, 3), (y, labels_name, 1)):
        if array.ndim != ndim or array.dtype != np.uint8:
            raise ValueError(
                f"{name}: expected uint8 with {ndim} dimensions, got {array.dtype} {array.shape}"
            )
    if len(x) != len(y):
        raise ValueError(
            f"{len(x):,} images in {images_name} but {len(y):,} labels in {labels_name}; the two "
            "files do not belong together"
        )
    return x, y


def _parse_mnist(contents: dict[str, bytearray], split: str) -> Pair:
    files = list(contents.items())
    return _joined(
        _idx_pair(*images, *labels) for images, labels in zip(files[::2], files[1::2], strict=True)
    )


def _parse_cifar(contents: dict[str, bytearray], split: str) -> Pair:
    images, labels = _joined(parse_cifar10(content, name) for name, content in contents.items())
    channels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return channels_last.transpose(0, 3, 1, 2), labels


def _joined(pairs: Iterable[Pair]) -> Pair:
    images, labels = zip(*pairs, strict=True)
    if len(images) == 1:
        return images[0], labels[0]
    return np.concatenate(images), np.concatenate(labels)


@dataclass(frozen=True)
class Source:
    """A row of SOURCES: what the files are called, where they come from, how they are read.

    `parse({path: bytes}, split)` gives images (N, H, W) or (N, C, H, W) in 0..maximum, labels, and,
    where there is more, a dict of captions and details.
    """

    classes: tuple[str, ...]
    citation: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    parse: Callable[[dict[str, bytearray], str], Pair | Triple]
    announced: Callable[[bytearray, PathLike], int] | None = None  # bytes of a file, by its head
    urls: tuple[str, ...] = ()  # mirrors, tried in order; none: bundled with tinygen
    sha256: dict[str, str] = field(default_factory=dict)
    archive: str = ""  # the .tar.gz that holds the files, if they are published so
    folder: str = ""  # the folder's name in PyTorch's layout
    system: tuple[str, ...] = ()  # where a distribution's package puts the files
    package: str = ""
    maximum: int = 255

    def files(self, split: str) -> tuple[str, ...]:
        """The names of the files that a split, "train", "test" or "all", is in."""
        return {"train": self.train, "test": self.test, "all": self.train + self.test}[split]


def _sums(text: str) -> dict[str, str]:
    """{file name: sha256} of lines as sha256sum prints them."""
    return {name: digest for digest, name in map(str.split, text.strip().splitlines())}


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


_DIGITS = tuple("0123456789")
_MNIST_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_MNIST_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

SOURCES: dict[str, Source] = {
    "digits": Source(
        classes=_DIGITS,
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, 1998, "
        "UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0",
        train=("digits.npz",),
        test=("digits.npz",),
        parse=_parse_digits,
        maximum=16,
    ),
    "emoji": Source(
        classes=GROUPS,
        citation="Noto Color Emoji 2.042, Google, SIL Open Font License 1.1; drawings of Symbola "
        "2.60, G. Douros, free for any use; names and groups of Unicode 15.0",
        train=("emoji.npz",),
        test=("emoji.npz",),
        parse=_parse_emoji,
    ),
    "letters": Source(
        classes=tuple(CHARACTERS),
        citation="63 styles of free fonts, SIL Open Font License 1.1 and Apache License 2.0; their "
        "authors in tinygen/data/licences/fonts.txt",
        train=("letters.npz",),
        test=("letters.npz",),
        parse=_parse_letters,
    ),
    "mnist": Source(
        classes=_DIGITS,
        citation="Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten "
        "digits, 1998",
        train=_MNIST_TRAIN,
        test=_MNIST_TEST,
        parse=_parse_mnist,
        announced=idx_size,
        urls=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256=_sums(
            """
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609  train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c  train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6  t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6  t10k-labels-idx1-ubyte.gz
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
            """
        ),
        folder="MNIST",
    ),
    "fashion": Source(
        classes=_names(
            "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
        ),
        citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747, MIT",
        train=_MNIST_TRAIN,
        test=_MNIST_TEST,
        parse=_parse_mnist,
        announced=idx_size,
        urls=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256=_sums(
            """
3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84  train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845  train-labels-idx1-ubyte.gz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073  t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5  t10k-labels-idx1-ubyte.gz
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888  train-images-idx3-ubyte
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9  train-labels-idx1-ubyte
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b  t10k-images-idx3-ubyte
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34  t10k-labels-idx1-ubyte
            """
        ),
        folder="FashionMNIST",
        system=("/usr/share/datasets/fashion-mnist",),
        package="dataset-fashion-mnist",
    ),
    "kmnist": Source(
        classes=_names("o, ki, su, tsu, na, ha, ma, ya, re, wo"),
        citation="T. Clanuwat et al., KMNIST (CODH), 2018, arXiv:1812.01718, "
        "doi:10.20676/00000341, CC BY-SA 4.0",
        train=_MNIST_TRAIN,
        test=_MNIST_TEST,
        parse=_parse_mnist,
        announced=idx_size,
        urls=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        sha256=_sums(
            """
51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4  train-images-idx3-ubyte.gz
e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17  train-labels-idx1-ubyte.gz
edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5  t10k-images-idx3-ubyte.gz
20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c  t10k-labels-idx1-ubyte.gz
            """
        ),
        folder="KMNIST",
    ),
    "cifar10": Source(
        classes=_names("airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"),
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test=("test_batch.bin",),
        parse=_parse_cifar,
        urls=("https://www.cs.toronto.edu/~kriz/",),
        sha256=_sums(
            """
c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd  cifar-10-binary.tar.gz
            """
        ),
        archive="cifar-10-binary.tar.gz",
        folder="cifar-10-batches-bin",
    ),
}
