"""`load(name)`: an image data set from the package, from a folder, or downloaded.

Files may be gzipped or plain, in the folder itself or in a subfolder as PyTorch lays them out.
Where no `root` is given they are looked for in $TINYGEN_DATA (default ~/.cache/tinygen), then
where a Debian package puts them. Nothing in a file is ever executed (no pickle).
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..serialization import most_unpacked
from .formats import PathLike, read_bytes
from .images import ImageDataset
from .sources import SOURCES, Source

__all__ = ["default_root", "load"]

PACKAGE_FOLDER = Path(__file__).parent


def load(
    name: str,
    split: str = "train",
    root: PathLike | None = None,
    download: bool = False,
    verify: bool = True,
) -> ImageDataset:
    """The data set called `name`, a key of SOURCES: digits, emoji, letters, mnist, fashion, kmnist,
    cifar10. The first three come with the package; emoji and letters have captions and details.

    split: "train", "test" or "all" (train, then test). root: the folder with the files, or with
    a subfolder MNIST/raw, FashionMNIST/raw, ..., cifar-10-batches-bin. download: fetch what is not
    there into `root` (needs pooch). verify: compare the sha256 of every file that has a known one;
    False reads files of your own that carry the published names.

    Raises ValueError for an unknown name or split, a truncated file, a wrong magic number or
    checksum, and images and labels that differ in number; FileNotFoundError, which says where it
    looked and how to get the files; RuntimeError when no mirror served the published file.

    >>> import tinygen as tg
    >>> digits = tg.data.load("digits")            # comes with the package
    >>> digits.images.shape, digits.labels.shape, len(tg.data.load("digits", split="test"))
    ((1415, 1, 8, 8), (1415,), 382)
    """
    source = _source(name, split)
    files = source.files(split)
    folders = _folders(source, name, root)
    folder = _find(source, files, folders)
    if folder is None and download:
        folder = folders[0]
        _download(source, files, folder)
    if folder is None:
        raise FileNotFoundError(_how_to_get(source, name, files, folders))
    contents = _contents(source, files, folder, verify)
    images, labels, *more = source.parse(contents, split)
    return ImageDataset.of(
        name, images, labels, source.classes,
        maximum=source.maximum, citation=source.citation, **(more[0] if more else {}),
    )  # fmt: skip


def _source(name: str, split: str) -> Source:
    if name not in SOURCES:
        raise ValueError(f"load: no data set is called {name!r}; there are {', '.join(SOURCES)}")
    if split not in ("train", "test", "all"):
        raise ValueError(f"load: no split is called {split!r}; there are train, test and all")
    return SOURCES[name]


def default_root() -> Path:
    """The folder of data sets: $TINYGEN_DATA, or tinygen/ in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TINYGEN_DATA") or Path(cache) / "tinygen")


def _folders(source: Source, name: str, root: PathLike | None) -> list[Path]:
    """Where to look, in this order; a download goes to the first."""
    if not source.urls:
        return [PACKAGE_FOLDER]
    base = default_root() if root is None else Path(root).expanduser()
    own = [base / name, base / source.folder / "raw", base / source.folder, base]
    return own + ([Path(folder) for folder in source.system] if root is None else [])


def _find(source: Source, files: tuple[str, ...], folders: list[Path]) -> Path | None:
    """The first folder that has them all."""
    return next((folder for folder in folders if _has(source, files, folder)), None)


def _has(source: Source, files: tuple[str, ...], folder: Path) -> bool:
    loose = all(_on_disk(folder, file) for file in files)
    return loose or bool(source.archive and (folder / source.archive).is_file())


def _on_disk(folder: Path, file: str) -> Path | None:
    paths = (folder / file, folder / f"{file}.gz")
    return next((path for path in paths if path.is_file()), None)


def _how_to_get(source: Source, name: str, files: tuple[str, ...], folders: list[Path]) -> str:
    lacking = source.archive or " and ".join(f"{file}[.gz]" for file in files)
    lines = [f"load: {name!r} needs {lacking}, and none of these folders has it:"]
    lines += [f"  {folder}" for folder in folders]
    if source.urls:
        lines.append(f"load({name!r}, download=True) fetches it from {source.urls[0]}")
        lines.append("(or fetch it yourself and pass its folder as root, or in $TINYGEN_DATA)")
    if source.package:
        lines.append(f"On Debian and Ubuntu: apt install {source.package}")
    return "\n".join(lines)


def _contents(
    source: Source, files: tuple[str, ...], folder: Path, verify: bool
) -> dict[str, bytearray]:
    """{path: unpacked bytes} of the files, in their order."""
    known = source.sha256 if verify else {}
    paths = [_on_disk(folder, file) for file in files]
    if not all(paths):
        return _members(folder / source.archive, files, known)
    return {
        str(path): _checked(path, file, known, source)
        for path, file in zip(paths, files, strict=True)
        if path is not None
    }


def _checked(path: Path, file: str, known: dict[str, str], source: Source) -> bytearray:
    """The unpacked bytes of `path`, whose sha256 is that of the content or of the .gz, if known."""
    content = read_bytes(path, source.announced)
    if file in known:
        _compare(path, hashlib.sha256(content).hexdigest(), known[file], "content")
    elif path.name in known:
        _compare(path, _digest(path), known[path.name], "file")
    return content


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compare(path: Path, found: str, expected: str, what: str) -> None:
    if found != expected:
        raise ValueError(
            f"{path}: wrong checksum: the sha256 of its {what} is {found}, expected {expected}. "
            "It is damaged or another file; delete it and load with download=True (verify=False "
            "reads a file of your own all the same)"
        )


def _members(archive: Path, files: tuple[str, ...], known: dict[str, str]) -> dict[str, bytearray]:
    """{name: bytes} of the files in a .tar.gz, read where they are: nothing is unpacked to disk."""
    if archive.name in known:
        _compare(archive, _digest(archive), known[archive.name], "file")
    found: dict[str, bytearray] = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None and Path(member.name).name in files:
                    if member.size > most_unpacked(archive.stat().st_size):
                        raise ValueError(f"{archive}: {member.name} has {member.size:,} bytes")
                    found[Path(member.name).name] = bytearray(stream.read())
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{archive}: truncated or damaged archive ({error})") from error
    missing = [file for file in files if file not in found]
    if missing:
        raise ValueError(f"{archive}: the archive has no {', '.join(missing)}")
    return {f"{archive}:{file}": found[file] for file in files}


def _download(source: Source, files: tuple[str, ...], folder: Path) -> None:
    """Fetch what the files come in into `folder`; a file with a wrong sha256 is not kept."""
    try:
        import pooch  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise RuntimeError(
            "load: download=True needs pooch: pip install pooch (or fetch the files yourself from "
            f"{source.urls[0]} into {folder})"
        ) from error
    for published in [source.archive] if source.archive else [f"{file}.gz" for file in files]:
        _retrieve(pooch.retrieve, source, published, folder)


def _retrieve(retrieve: Callable[..., Any], source: Source, published: str, folder: Path) -> None:
    """From the first mirror that serves the file with the right sha256."""
    faults = []
    for url in source.urls:
        try:
            retrieve(
                url + published,
                known_hash=f"sha256:{source.sha256[published]}",
                fname=published,
                path=folder,
                progressbar=_wants_progress(),
            )
            return
        except (OSError, ValueError) as error:  # requests' errors are OSErrors, a bad hash is not
            faults.append(f"  {url}{published}: {error}")
    raise RuntimeError("load: no mirror served the published file:\n" + "\n".join(faults))


def _wants_progress() -> bool:
    """Is there someone who sees it, and tqdm to draw it?"""
    import importlib.util

    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
