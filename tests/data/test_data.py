"""Data: files of every format and their faults, scaling, toy laws, batches that can be resumed."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import itertools
import json
import random
import subprocess
import sys
import tarfile
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygen
from tinygen import data
from tinygen.backend import Generator, default_generator, manual_seed
from tinygen.data import DataLoader, ImageDataset, TensorDataset, datasets, load, sources

SETTINGS = settings(deadline=None, max_examples=50)


def generator(seed=0):
    return Generator().manual_seed(seed)


def images_and_labels(n=7, size=28, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, size, size), np.uint8), rng.integers(0, 10, n, np.uint8)


def write_mnist(folder, suffix="", train=7, test=3):
    """Files that MNIST's could be; returns {split: (images, labels)}."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for split, prefix, n in (("train", "train", train), ("test", "t10k", test)):
        made[split] = images_and_labels(n, seed=n)
        data.write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", made[split][0])
        data.write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", made[split][1])
    return made


def cifar_records(n, seed=0):
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (n, 3073), np.uint8)
    records[:, 0] %= 10
    return records


# --- the bundled digits -----------------------------------------------------------------------


def test_digits_are_the_published_ones():
    digits = load("digits", "all")
    images, labels = digits.images.numpy(), digits.labels.numpy()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert (images.min(), images.max(), digits.maximum) == (0, 16, 16)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI's table of the test part
    assert np.bincount(labels).tolist() == counts
    assert images[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_digits_file_carries_its_attribution():
    with np.load(Path(data.__file__).with_name("digits.npz"), allow_pickle=False) as file:
        text = str(file["attribution"])
    for part in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert part in text
        assert part in load("digits").citation


def test_digits_split_is_at_the_start_of_a_form():
    train, test, both = (load("digits", split) for split in ("train", "test", "all"))
    assert (len(train), len(test)) == (1415, 382)
    assert test.labels.numpy()[:30].tolist() == list(range(10)) * 3  # how a form begins
    joined = np.concatenate([train.images.numpy(), test.images.numpy()])
    assert np.array_equal(joined, both.images.numpy())


def test_import_and_digits_need_numpy_alone():
    code = (
        "import sys; from tinygen.data import load; load('digits').to_unit();"
        "print(sorted({'pooch', 'tqdm', 'sklearn', 'requests', 'cupy'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


# --- scaling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [16, 255])
def test_scaling_and_back_is_exact(maximum):
    pixels = np.arange(maximum + 1, dtype=np.uint8)
    unit, symmetric = data.to_unit(pixels, maximum), data.to_symmetric(pixels, maximum)
    assert unit.dtype == symmetric.dtype == np.float32
    assert np.allclose(unit.numpy(), pixels / maximum, atol=1e-7)
    assert np.allclose(symmetric.numpy(), 2 * (pixels / maximum) - 1, atol=2e-7)
    assert [unit.numpy()[0], unit.numpy()[-1]] == [0, 1]
    assert [symmetric.numpy()[0], symmetric.numpy()[-1]] == [-1, 1]
    assert np.array_equal(data.to_uint8(unit, maximum=maximum).numpy(), pixels)
    assert np.array_equal(data.to_uint8(symmetric, low=-1, maximum=maximum).numpy(), pixels)


def test_to_uint8_clips_and_refuses_nan():
    assert data.to_uint8(np.array([-3.0, 0.5, 7.0])).numpy().tolist() == [0, 128, 255]
    with pytest.raises(ValueError, match="NaN"):
        data.to_uint8(np.array([0.0, np.nan]))


def test_scaling_twice_is_refused():
    with pytest.raises(TypeError, match="expected uint8 .* float32"):
        data.to_unit(data.to_unit(np.zeros(3, np.uint8)))


def test_a_data_set_scales_by_its_own_maximum():
    digits = load("digits")
    assert digits.to_unit().numpy().max() == 1.0
    assert digits.to_symmetric().numpy().min() == -1.0


# --- IDX --------------------------------------------------------------------------------------

IDX_ARRAYS = st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=hnp.from_dtype(np.dtype(dtype)),
    )
)  # fmt: skip


@SETTINGS
@given(array=IDX_ARRAYS, suffix=st.sampled_from(["", ".gz"]))
def test_idx_round_trip(tmp_path_factory, array, suffix):
    path = tmp_path_factory.mktemp("idx") / f"x{suffix}"
    data.write_idx(path, array)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == bool(suffix)
    back = data.read_idx(path)
    assert back.dtype == array.dtype and back.dtype.isnative
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
    assert back.flags.writeable


def test_idx_bytes_are_those_of_the_format(tmp_path):
    data.write_idx(tmp_path / "x", np.array([[1, 2, 300]], np.int16))
    header = "00 00 0b 02 00 00 00 01 00 00 00 03"
    assert (tmp_path / "x").read_bytes() == bytes.fromhex(header + "00 01 00 02 01 2c")


@SETTINGS
@given(cut=st.integers(0, 70), compressed=st.booleans())
def test_an_idx_file_cut_anywhere_is_an_error(tmp_path_factory, cut, compressed):
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if compressed else "x")
    data.write_idx(path, np.random.default_rng(0).integers(0, 256, (5, 11), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(ValueError, match=r"x.*(truncated|wrong magic)"):
        data.read_idx(path)


def test_idx_faults_name_the_file_and_what_was_expected(tmp_path):
    path = tmp_path / "some-file"
    data.write_idx(path, np.zeros((2, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"some-file: truncated .*\(2, 3\) uint8, 18 bytes.* 17"):
        data.read_idx(path)
    path.write_bytes(whole + b"!")
    with pytest.raises(ValueError, match="some-file: IDX file with bytes to spare"):
        data.read_idx(path)
    path.write_bytes(whole[:2] + b"\x0a" + whole[3:])  # no such element type
    with pytest.raises(ValueError, match="some-file: wrong magic number 00 00 0a 02"):
        data.read_idx(path)
    path.write_bytes(b"\x89PNG" + whole)
    with pytest.raises(ValueError, match="some-file: wrong magic number 89 50 4e 47"):
        data.read_idx(path)


def test_a_damaged_gzip_is_an_error(tmp_path):
    path = tmp_path / "x.gz"
    data.write_idx(path, np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="x.gz: damaged gzip"):
        data.read_idx(path)


def gzip_of(head, megabytes):
    """A gzip file of these bytes and so many MiB of zeros."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return out.getvalue()


def test_gzip_bombs_are_refused_before_they_unpack(tmp_path):
    path = tmp_path / "x.gz"
    cases = [
        (
            bytes.fromhex("00 00 08 01 40 00 00 00"),
            r"x.gz: 4.* that unpack to 1,073,741,832 or more",
        ),
        (
            bytes.fromhex("00 00 08 01 00 00 00 05"),
            r"x.gz: IDX file with bytes to spare.* 13 bytes",
        ),
        (b"", r"x.gz: wrong magic number 00 00 00 00"),
    ]
    for head, message in cases:
        path.write_bytes(gzip_of(head, 100))
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            data.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()
    path.write_bytes(gzip_of(b"", 257))
    with pytest.raises(ValueError, match=r"x.gz: .* that unpack to 268,435,457 or more"):
        data.read_cifar10(path)


def test_an_archive_s_member_that_is_far_too_large(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("test_batch.bin")
        member.size = 2**28 + 1
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(ValueError, match=r"tar.gz: test_batch.bin has 268,435,457 bytes"):
        load("cifar10", "test", root=tmp_path, verify=False)


def test_255_dimensions(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes.fromhex("00 00 08 ff") + b"\0\0\0\1" * 255 + b"!")
    with pytest.raises(ValueError, match="x: an IDX file of 255 dimensions; expected at most 64"):
        data.read_idx(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_file_is_read_in_one_copy(tmp_path, suffix):
    array = np.random.default_rng(0).integers(0, 256, (2000, 40, 40), np.uint8)
    data.write_idx(tmp_path / f"x{suffix}", array)
    tracemalloc.start()
    back = data.read_idx(tmp_path / f"x{suffix}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(back, array)
    assert peak < 1.7 * array.nbytes  # grown by an eighth and by 1 MiB at a time


def test_whatever_happens_to_a_gzip_file_it_is_right_or_refused(tmp_path):
    path, rng, refused = tmp_path / "x.gz", random.Random(0), 0
    array = np.random.default_rng(0).integers(0, 256, (9, 11), np.uint8)
    data.write_idx(path, array)
    whole = path.read_bytes()
    for _ in range(400):
        a, b = sorted(rng.randrange(len(whole)) for _ in range(2))
        flipped = bytes([whole[a] ^ (1 << rng.randrange(8))])
        parts = [whole[:a], whole[:a] + whole[b:], whole[:b] + whole[a:], whole + whole[a:b]]
        path.write_bytes(rng.choice([*parts, whole[:a] + flipped + whole[a + 1 :]]))
        try:
            assert np.array_equal(data.read_idx(path), array)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 300


def test_write_idx_refuses_what_the_format_has_not(tmp_path):
    with pytest.raises(TypeError, match="int64"):
        data.write_idx(tmp_path / "x", np.zeros(3, np.int64))


# --- the MNIST family from a folder -----------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    "name, subfolder",
    [("mnist", ""), ("mnist", "mnist"), ("fashion", "FashionMNIST/raw"), ("kmnist", "KMNIST/raw")],
)
def test_mnist_family_from_a_folder(tmp_path, name, subfolder, suffix):
    made = write_mnist(tmp_path / subfolder, suffix)
    for split, n in (("train", 7), ("test", 3), ("all", 10)):
        loaded = load(name, split, root=tmp_path, verify=False)
        assert loaded.images.shape == (n, 1, 28, 28) and loaded.images.dtype == np.uint8
        assert loaded.labels.shape == (n,) and loaded.labels.dtype == np.int64
        assert len(loaded.classes) == 10
        parts = made.values() if split == "all" else [made[split]]
        images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        assert np.array_equal(loaded.images.numpy()[:, 0], images)
        assert np.array_equal(loaded.labels.numpy(), labels)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def with_sums(monkeypatch, name, sums, **changes):
    row = dataclasses.replace(sources.SOURCES[name], sha256=sums, **changes)
    monkeypatch.setitem(sources.SOURCES, name, row)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_flipped_pixel_is_a_wrong_checksum(tmp_path, monkeypatch, suffix):
    made = write_mnist(tmp_path, suffix)
    file = tmp_path / f"train-images-idx3-ubyte{suffix}"
    content = datasets.read_bytes(file)
    with_sums(monkeypatch, "mnist", {"train-images-idx3-ubyte": sha256(content)})
    load("mnist", root=tmp_path)

    images = made["train"][0].copy()
    images[0, 0, 0] ^= 1
    data.write_idx(file, images)
    with pytest.raises(ValueError, match=r"train-images.*wrong checksum.*expected.*download=True"):
        load("mnist", root=tmp_path)
    assert load("mnist", root=tmp_path, verify=False).images.numpy()[0, 0, 0, 0] == images[0, 0, 0]


def test_the_checksum_of_the_content_holds_however_it_was_compressed(tmp_path, monkeypatch):
    write_mnist(tmp_path, ".gz")
    file = tmp_path / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(file.read_bytes())
    sums = {"train-images-idx3-ubyte.gz": "0" * 64, "train-images-idx3-ubyte": sha256(content)}
    with_sums(monkeypatch, "mnist", sums)
    file.write_bytes(gzip.compress(content, compresslevel=1))
    load("mnist", root=tmp_path)


def test_the_checksum_of_the_published_gz_is_used_where_it_is_the_only_one(tmp_path, monkeypatch):
    write_mnist(tmp_path, ".gz")
    with_sums(monkeypatch, "kmnist", {"train-labels-idx1-ubyte.gz": "0" * 64})
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte.gz: wrong checksum"):
        load("kmnist", root=tmp_path)


def test_the_published_checksums_are_compared():
    for name, source in sources.SOURCES.items():
        if source.urls:
            assert all(len(digest) == 64 for digest in source.sha256.values())
            names = [source.archive] if source.archive else [f + ".gz" for f in source.files("all")]
            assert set(names) <= set(source.sha256), name


def test_somebody_elses_file_under_a_published_name_is_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(ValueError, match="wrong checksum"):
        load("mnist", root=tmp_path)


def test_images_and_labels_that_differ_in_number(tmp_path):
    write_mnist(tmp_path)
    data.write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(6, np.uint8))
    with pytest.raises(ValueError, match="7 images in .*train-images.* but 6 labels in .*labels"):
        load("mnist", root=tmp_path, verify=False)


def test_labels_in_the_place_of_images(tmp_path):
    write_mnist(tmp_path)
    data.write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match=r"train-images.*expected uint8 with 3 dimensions.*\(7,\)"):
        load("mnist", root=tmp_path, verify=False)


def test_a_missing_file_says_where_it_looked_and_how_to_get_it(tmp_path):
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    (tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    load("fashion", "train", root=tmp_path, verify=False)
    with pytest.raises(FileNotFoundError) as error:
        load("fashion", "test", root=tmp_path)
    for part in (
        "t10k-labels-idx1-ubyte",
        str(tmp_path / "FashionMNIST" / "raw"),
        "download=True",
        "root",
        "apt install dataset-fashion-mnist",
    ):
        assert part in str(error.value)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'minst'.*digits, emoji, letters, mnist, fashion"):
        load("minst")
    with pytest.raises(ValueError, match="'dev'.*train, test and all"):
        load("digits", "dev")
    with pytest.raises(ValueError, match="'rings'.*ring, grid, swiss_roll"):
        data.toy("rings", 10)


def test_the_folder_of_a_system_package_is_found_by_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGEN_DATA", str(tmp_path / "nothing here"))
    made = write_mnist(tmp_path / "share", ".gz")
    with_sums(monkeypatch, "fashion", {}, system=(str(tmp_path / "share"),))
    assert np.array_equal(load("fashion").images.numpy()[:, 0], made["train"][0])
    with pytest.raises(FileNotFoundError):  # a root that was named is the only one
        load("fashion", root=tmp_path / "nothing here")


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="no dataset-fashion-mnist here"
)
def test_debians_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGEN_DATA", str(tmp_path))
    test = load("fashion", "test")
    assert test.images.shape == (10000, 1, 28, 28)
    assert np.bincount(test.labels.numpy()).tolist() == [1000] * 10


def test_the_default_folder_follows_the_environment(tmp_path, monkeypatch):
    made = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("TINYGEN_DATA", str(tmp_path))
    assert np.array_equal(load("mnist", verify=False).images.numpy()[:, 0], made["train"][0])
    monkeypatch.delenv("TINYGEN_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert data.default_root() == Path("/somewhere/tinygen")


def test_an_image_data_set_checks_its_shapes():
    images, labels = images_and_labels(5)
    with pytest.raises(ValueError, match=r"own: 5 images but labels of shape \(4,\)"):
        ImageDataset.of("own", images, labels[:4], ())
    with pytest.raises(ValueError, match=r"expected images \(N, C, H, W\), got \(5, 28\)"):
        ImageDataset.of("own", images[:, 0], labels, ())


# --- CIFAR-10 ---------------------------------------------------------------------------------


def write_cifar(folder, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for i, file in enumerate(sources.SOURCES["cifar10"].files("all")):
        made[file] = cifar_records(3, seed=i)
        content = made[file].tobytes()
        (folder / f"{file}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return np.concatenate(list(made.values()))


def write_cifar_archive(path):
    """A .tar.gz as it is published: a folder, a file that is not ours, batches out of order."""
    records = write_cifar(path.parent / "loose")
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("cifar-10-batches-bin/readme.html"), io.BytesIO(b""))
        for file in sorted((path.parent / "loose").iterdir(), reverse=True):
            tar.add(file, f"cifar-10-batches-bin/{file.name}")
    return records


def check_cifar(records, **where):
    train, test = (load("cifar10", split, verify=False, **where) for split in ("train", "test"))
    assert train.images.shape == (15, 3, 32, 32) and test.images.shape == (3, 3, 32, 32)
    images = np.concatenate([train.images.numpy(), test.images.numpy()])
    assert np.array_equal(images.reshape(18, -1), records[:, 1:])
    labels = np.concatenate([train.labels.numpy(), test.labels.numpy()])
    assert np.array_equal(labels, records[:, 0])
    assert train.images.numpy().transpose(0, 2, 3, 1).flags.c_contiguous  # channels last


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("subfolder", ["", "cifar10", "cifar-10-batches-bin"])
def test_cifar10_from_a_folder(tmp_path, subfolder, suffix):
    check_cifar(write_cifar(tmp_path / subfolder, suffix), root=tmp_path)


def test_cifar10_from_its_archive(tmp_path):
    check_cifar(write_cifar_archive(tmp_path / "cifar-10-binary.tar.gz"), root=tmp_path)


def test_cifar10_channels_are_red_green_blue(tmp_path):
    record = np.concatenate([[4], *(np.full(1024, value) for value in (10, 20, 30))])
    record[1 + 1024 + 33] = 99  # green, second row, second column
    (tmp_path / "x.bin").write_bytes(record.astype(np.uint8).tobytes())
    images, labels = data.read_cifar10(tmp_path / "x.bin")
    assert labels.tolist() == [4]
    assert images[0, :, 0, 0].tolist() == [10, 20, 30] and images[0, 1, 1, 1] == 99


def test_cifar10_faults(tmp_path):
    path, records = tmp_path / "batch.bin", cifar_records(2)
    path.write_bytes(records.tobytes()[:-1])
    with pytest.raises(ValueError, match="batch.bin: truncated.* 6,145 bytes .*3073-byte records"):
        data.read_cifar10(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="batch.bin: truncated"):
        data.read_cifar10(path)
    records[1, 0] = 10
    path.write_bytes(records.tobytes())
    with pytest.raises(ValueError, match="batch.bin: not a CIFAR-10.* record 1 has label 10"):
        data.read_cifar10(path)


def test_cifar10_archive_faults(tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    write_cifar_archive(archive)
    with pytest.raises(ValueError, match="tar.gz: wrong checksum"):
        load("cifar10", root=tmp_path)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="tar.gz: truncated or damaged"):
        load("cifar10", root=tmp_path, verify=False)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "loose" / "test_batch.bin", "test_batch.bin")
    with pytest.raises(ValueError, match="has no data_batch_1.bin"):
        load("cifar10", root=tmp_path, verify=False)


# --- downloads, from a server of our own --------------------------------------------------------


@pytest.fixture
def server(tmp_path, monkeypatch):
    pytest.importorskip("pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


def served_sums(folder):
    return {path.name: sha256(path.read_bytes()) for path in folder.iterdir()}


def test_download_then_read_from_the_folder(tmp_path, monkeypatch, server):
    made = write_mnist(tmp_path / "served", ".gz")
    urls = (server + "not-here/", server)  # the second mirror has it
    with_sums(monkeypatch, "mnist", served_sums(tmp_path / "served"), urls=urls)
    with pytest.raises(FileNotFoundError):
        load("mnist", root=tmp_path / "root")
    for where in ({"download": True}, {}):
        loaded = load("mnist", root=tmp_path / "root", **where)
        assert np.array_equal(loaded.images.numpy()[:, 0], made["train"][0])
    assert len(list((tmp_path / "root" / "mnist").iterdir())) == 2  # of that split alone


def test_download_of_an_archive(tmp_path, monkeypatch, server):
    records = write_cifar_archive(tmp_path / "served" / "cifar-10-binary.tar.gz")
    digest = sha256((tmp_path / "served" / "cifar-10-binary.tar.gz").read_bytes())
    with_sums(monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": digest}, urls=(server,))
    check_cifar(records, root=tmp_path / "root", download=True)


def test_a_download_with_a_wrong_checksum_is_not_kept(tmp_path, monkeypatch, server):
    write_mnist(tmp_path / "served", ".gz")
    sums = dict.fromkeys(served_sums(tmp_path / "served"), "0" * 64)
    with_sums(monkeypatch, "mnist", sums, urls=(server,))
    with pytest.raises(RuntimeError, match=r"no mirror.*\n.*train-images.*(?i:hash).*0000"):
        load("mnist", root=tmp_path / "root", download=True)
    assert list((tmp_path / "root" / "mnist").iterdir()) == []


def test_a_download_that_no_mirror_has(tmp_path, monkeypatch, server):
    with_sums(monkeypatch, "mnist", sources.SOURCES["mnist"].sha256, urls=(server,))
    with pytest.raises(RuntimeError, match=r"no mirror.*\n.*train-images.*404"):
        load("mnist", root=tmp_path / "root", download=True)


def test_download_without_pooch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(RuntimeError, match="pip install pooch"):
        load("mnist", root=tmp_path, download=True)


# --- toy laws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.TOYS)
def test_toys_are_drawn_from_their_generator(name):
    points = data.toy(name, 500, generator())
    assert points.shape == (500, 2) and points.dtype == np.float32
    assert np.isfinite(points.numpy()).all()
    assert np.array_equal(points.numpy(), data.toy(name, 500, generator()).numpy())
    assert not np.array_equal(points.numpy(), data.toy(name, 500, generator(1)).numpy())
    manual_seed(0)
    assert np.array_equal(points.numpy(), data.toy(name, 500).numpy())
    assert data.toy(name, 0).shape == (0, 2)


@pytest.mark.parametrize(
    "draw, centers, std",
    [
        (data.gaussian_ring, data.ring_centers(), 0.01),
        (data.gaussian_grid, data.grid_centers(), 0.05),
        (functools.partial(data.gaussian_ring, std=0.1, radius=2.0), data.ring_centers(8, 2), 0.1),
    ],
)
def test_mixtures_have_their_centers_weights_and_width(draw, centers, std):
    n, means = 20_000, centers.numpy()
    points = draw(n, generator=generator()).numpy()
    which = np.linalg.norm(points[:, None] - means, axis=2).argmin(1)
    counts = np.bincount(which, minlength=len(means))
    assert np.all(abs(counts - n / len(means)) < 5 * np.sqrt(n / len(means)))
    rest = (points - means[which]) / std
    assert np.all(abs(rest.mean(0)) < 0.04)
    assert np.allclose(np.cov(rest.T), np.eye(2), atol=0.05)


def test_the_centers():
    assert np.allclose(np.linalg.norm(data.ring_centers(8, 2.0).numpy(), axis=1), 2)
    assert np.allclose(data.ring_centers(4).numpy(), [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-6)
    expected = list(itertools.product([-4, -2, 0, 2, 4], repeat=2))
    assert data.grid_centers().numpy().tolist() == [list(map(float, c)) for c in expected]


def test_swiss_roll_without_noise_lies_on_its_spiral():
    x, y = data.swiss_roll(1000, noise=0, generator=generator()).numpy().T.astype(float)
    t = 10 * np.hypot(x, y)
    assert t.min() >= 1.5 * np.pi - 1e-4 and t.max() <= 4.5 * np.pi + 1e-4
    assert np.allclose([x, y], [t * np.cos(t) / 10, t * np.sin(t) / 10], atol=1e-5)
    assert abs(t.mean() - 3 * np.pi) < 0.3


def test_two_moons_without_noise_are_two_half_circles():
    x, y = data.two_moons(2000, noise=0, generator=generator()).numpy().T
    upper = np.isclose(np.hypot(x, y), 1, atol=1e-5) & (y >= -1e-6)
    lower = np.isclose(np.hypot(x - 1, y - 0.5), 1, atol=1e-5) & (y <= 0.5 + 1e-6)
    assert np.all(upper ^ lower) and abs(upper.mean() - 0.5) < 0.05


def test_checkerboard_is_uniform_on_every_second_square():
    n, centers = 16_000, data.checkerboard_centers().numpy()
    points = data.checkerboard(n, generator=generator()).numpy()
    column, row = np.floor(points / 2).astype(int).T
    assert np.all((column + row) % 2 == 0) and abs(points).max() <= 4
    which = abs(points[:, None] - centers).max(2).argmin(1)
    assert np.all(abs(np.bincount(which, minlength=8) - n / 8) < 5 * np.sqrt(n / 8))
    inside = points - centers[which]
    assert abs(inside).max() <= 1 and np.allclose(inside.var(0), 1 / 3, atol=0.01)


def test_pinwheel_without_tangential_spread_lies_on_its_spirals():
    draw = functools.partial(data.pinwheel, arms=5, radial_std=0.1, tangential_std=0, rate=0.25)
    x, y = draw(5000, generator=generator()).numpy().T.astype(float)
    r = np.hypot(x, y)
    arm = (np.arctan2(y, x) - 0.25 * np.exp(r)) / (2 * np.pi / 5)
    assert np.allclose(arm, np.round(arm), atol=1e-5)
    counts = np.bincount(np.round(arm).astype(int) % 5)
    assert np.all(abs(counts - 1000) < 5 * np.sqrt(1000))
    assert abs(r.mean() - 1) < 0.01 and abs(r.std() - 0.1) < 0.005


def test_pinwheel_without_sweep_has_gaussian_arms():
    draw = functools.partial(data.pinwheel, radial_std=0.1, tangential_std=0.05, rate=0)
    x, y = draw(5000, generator=generator()).numpy().T.astype(float)
    arm = np.round(np.arctan2(y, x) / (2 * np.pi / 5))
    blob = (x + 1j * y) * np.exp(-2j * np.pi * arm / 5)
    assert abs(blob.real.mean() - 1) < 0.01 and abs(blob.real.std() - 0.1) < 0.005
    assert abs(blob.imag.mean()) < 0.005 and abs(blob.imag.std() - 0.05) < 0.003


def test_parallel_lines_are_two_segments():
    x, y = data.parallel_lines(2000, distance=3.0, generator=generator()).numpy().T
    assert set(x) == {0.0, 3.0} and abs(np.mean(x == 0) - 0.5) < 0.05
    assert y.min() >= 0 and y.max() <= 1 and abs(y.std() - 12**-0.5) < 0.02
    x, _ = data.parallel_lines(2000, distance=0.0, noise=0.2, generator=generator()).numpy().T
    assert abs(x.std() - 0.2) < 0.02


# --- batches ----------------------------------------------------------------------------------


def indices_of(n):
    """A data set whose samples are their own indices."""
    return TensorDataset(np.arange(n), np.arange(n, dtype=np.float32))


LOADERS = st.integers(1, 40).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "n": st.just(n),
            "batch_size": st.integers(1, n),
            "shuffle": st.booleans(),
            "drop_last": st.booleans(),
            "seed": st.none() | st.integers(0, 99),
        }
    )
)


def make_loader(n, seed, **settings):
    """With a generator of its own to hand over, or seeded by the default one."""
    manual_seed(7)
    given = None if seed is None else generator(seed)
    return DataLoader(indices_of(n), generator=given, **settings)


def drain(batches):
    return [batch[0].numpy().tolist() for batch in batches]


@SETTINGS
@given(settings=LOADERS)
def test_an_epoch_has_each_index_once(settings):
    loader, n, size = make_loader(**settings), settings["n"], settings["batch_size"]
    for _ in range(2):
        batches = drain(loader)
        assert len(batches) == len(loader)
        seen = sum(batches, [])
        assert len(set(seen)) == len(seen) and set(seen) <= set(range(n))
        assert len(seen) == (n // size * size if settings["drop_last"] else n)
        assert all(len(batch) == size for batch in batches[: n // size])
        assert settings["shuffle"] or seen == list(range(len(seen)))


@SETTINGS
@given(settings=LOADERS)
def test_lengths_are_pytorchs(settings):
    torch = pytest.importorskip("torch")
    ours = make_loader(**settings)
    theirs = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.arange(settings["n"])),
        batch_size=settings["batch_size"],
        drop_last=settings["drop_last"],
    )
    assert len(ours) == len(theirs)
    assert [len(batch) for batch in drain(ours)] == [len(batch[0]) for batch in theirs]


@SETTINGS
@given(settings=LOADERS, taken=st.integers(0, 100), more=st.integers(1, 100))
def test_resumed_anywhere_is_uninterrupted(settings, taken, more):
    stream = make_loader(**settings).forever()
    whole = drain(itertools.islice(stream, taken + more))

    first = make_loader(**settings)
    begun = drain(itertools.islice(first.forever(), taken))
    state = json.loads(json.dumps(first.state_dict()))

    resumed = make_loader(**{**settings, "seed": settings["seed"] and 12345})
    if taken == 0 and settings["seed"] is None:
        manual_seed(7)  # nothing was drawn yet: the order is still to come from the default one
    else:
        manual_seed(99)
    resumed.load_state_dict(state)
    assert begun + drain(itertools.islice(resumed.forever(), more)) == whole


@SETTINGS
@given(settings=LOADERS, epochs=st.integers(1, 4), stop=st.integers(0, 200))
def test_a_for_loop_over_epochs_resumes(settings, epochs, stop):
    def train(loader, stop_after=None):
        seen = []
        for epoch in range(loader.epoch, epochs):
            for batch in loader:
                seen.append((epoch, batch[0].numpy().tolist()))
                if len(seen) == stop_after:
                    return seen, loader.state_dict()
        return seen, loader.state_dict()

    whole, _ = train(make_loader(**settings))
    begun, state = train(make_loader(**settings), stop_after=1 + stop % len(whole))
    resumed = make_loader(**settings)
    resumed.load_state_dict(state)
    assert begun + train(resumed)[0] == whole


def test_epochs_are_shuffled_anew_and_by_the_generator_alone():
    loader = DataLoader(indices_of(30), 30, shuffle=True, generator=generator())
    first, second = drain(loader), drain(loader)
    assert first != second and first != [list(range(30))]
    default_generator.numpy.random(3)
    again = DataLoader(indices_of(30), 30, shuffle=True, generator=generator())
    assert [drain(again), drain(again)] == [first, second]
    assert loader.epoch == 2


def test_a_fresh_for_after_a_break_is_a_new_epoch():
    loader = DataLoader(indices_of(10), 3, shuffle=True, generator=generator())
    next(iter(loader))
    assert sorted(sum(drain(loader), [])) == list(range(10))
    assert loader.epoch == 2


def test_two_iterators_at_once_do_not_disturb_each_other():
    loader = DataLoader(indices_of(12), 5)
    assert [[a[0].tolist(), b[0].tolist()] for a, b in zip(loader, loader, strict=True)] == [
        [batch, batch] for batch in drain(loader)
    ]


def test_a_batch_is_a_copy():
    source = np.arange(6)
    batch = next(iter(DataLoader(TensorDataset(source), 3)))[0]
    batch.numpy()[:] = -1
    assert source.tolist() == list(range(6))


def test_rows_of_different_tensors_stay_together_and_keep_their_dtype():
    x = np.random.default_rng(0).standard_normal((20, 3, 2)).astype(np.float32)
    for xs, i in DataLoader(TensorDataset(x, np.arange(20)), 6, shuffle=True):
        assert np.array_equal(xs.numpy(), x[i.numpy()])
        assert xs.dtype == np.float32 and i.dtype == np.int64


def test_images_come_in_batches_and_stay_channels_last():
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    own = ImageDataset.of("own", images.transpose(0, 3, 1, 2), np.arange(9), ())
    for pixels, labels in DataLoader(own, 4, shuffle=True):
        assert np.array_equal(pixels.numpy(), own.images.numpy()[labels.numpy()])
        assert pixels.numpy().transpose(0, 2, 3, 1).flags.c_contiguous
        assert data.to_unit(pixels).numpy().transpose(0, 2, 3, 1).flags.c_contiguous


class Squares(data.Dataset):
    """What a PyTorch program would write."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return {"x": np.full(2, index, np.float32), "y": (index**2, index / 2), "name": f"#{index}"}


def test_a_data_set_of_samples_is_collated():
    first, second, third = DataLoader(Squares(), 2, num_workers=2, pin_memory=True)
    assert first["x"].numpy().tolist() == [[0, 0], [1, 1]] and first["x"].dtype == np.float32
    assert first["name"] == ["#0", "#1"]
    assert second["y"][0].numpy().tolist() == [4, 9] and second["y"][0].dtype == np.int64
    assert third["y"][1].numpy().tolist() == [2.0]


def test_collate_fn_is_given_the_samples():
    batches = list(
        DataLoader(Squares(), 2, collate_fn=lambda samples: [s["name"] for s in samples])
    )
    assert batches == [["#0", "#1"], ["#2", "#3"], ["#4"]]


def test_loader_faults():
    with pytest.raises(ValueError, match=r"batch_size 11 is larger than the data set \(10 samples"):
        DataLoader(indices_of(10), 11)
    for size in (0, -1):
        with pytest.raises(ValueError, match="DataLoader: expected batch_size >= 1, got"):
            DataLoader(indices_of(10), size)
    for size in (2.0, None, "4"):
        with pytest.raises(TypeError, match="DataLoader: expected an integer batch_size, got"):
            DataLoader(indices_of(10), size)
    with pytest.raises(TypeError, match=r"DataLoader: expected a data set with len.* got 5"):
        DataLoader(5, 2)
    with pytest.raises(TypeError, match="DataLoader: expected a Generator, got 5"):
        DataLoader(indices_of(10), generator=5)
    with pytest.raises(TypeError, match="DataLoader: expected collate_fn to be a function, got 5"):
        DataLoader(indices_of(10), collate_fn=5)
    with pytest.raises(ValueError, match=r"same first size.*\(3,\), \(4, 2\)"):
        TensorDataset(np.zeros(3), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="same first size"):
        TensorDataset(np.zeros(()))
    with pytest.raises(NotImplementedError, match="Empty has no __getitem__"):
        type("Empty", (data.Dataset,), {})()[0]


def test_a_state_of_another_loader_is_refused():
    loader = DataLoader(indices_of(10), 5, shuffle=True)
    state = loader.state_dict()
    with pytest.raises(ValueError, match="another loader: samples 10 there, 12 here; batch_size 5"):
        DataLoader(indices_of(12), 4, shuffle=True).load_state_dict(state)
    del state["seed"]
    with pytest.raises(ValueError, match="the state has no seed"):
        loader.load_state_dict(state)


def test_a_sample_is_a_tuple_and_slices_are_samples_too():
    x = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    row, label = TensorDataset(x, np.arange(6))[4]
    assert row.tolist() == [8, 9] and label.item() == 4
    image, label = load("digits")[3]
    assert image.shape == (1, 8, 8) and image.dtype == np.uint8 and label.item() == 3
    assert load("digits")[10:20][1].tolist() == list(range(10))


def test_parts_and_unions():
    numbers = indices_of(10)
    part = data.Subset(numbers, [3, 8, 1])
    assert len(part) == 3 and part[1][0].item() == 8 and part[[2, 0]][0].tolist() == [1, 3]
    both = numbers + part
    assert isinstance(both, data.ConcatDataset) and len(both) == 13
    assert both[10][0].item() == 3 and both[-1][0].item() == 1
    with pytest.raises(IndexError, match="ConcatDataset: index 13 of 13 samples"):
        both[13]
    with pytest.raises(ValueError, match="ConcatDataset: expected at least one data set"):
        data.ConcatDataset([])
    with pytest.raises(TypeError, match="ConcatDataset: expected data sets with len"):
        data.ConcatDataset([3])
    assert data.Dataset[int] is data.Dataset


@SETTINGS
@given(n=st.integers(1, 40), shares=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_random_split_is_a_partition_of_pytorchs_lengths(n, shares):
    torch = pytest.importorskip("torch")
    lengths = [share / sum(shares) for share in shares]
    lengths = lengths if sum(lengths) <= 1 else [1.0]  # PyTorch takes 1 - 1e-16, not 1 + 1e-16
    parts = data.random_split(range(n), lengths, generator=generator(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.utils.data.random_split(range(n), lengths)
    assert [len(part) for part in parts] == [len(part) for part in theirs]
    assert sorted(i for part in parts for i in part) == list(range(n))
    again = data.random_split(range(n), [len(part) for part in parts], generator=generator(3))
    assert [part.indices for part in again] == [part.indices for part in parts]


def test_a_split_that_does_not_sum_up_is_refused():
    for lengths in ([3, 3], [0.5, 0.2], [12, -2], [1.5, -0.5]):
        with pytest.raises((ValueError, TypeError), match="random_split: expected"):
            data.random_split(range(10), lengths)


def test_batches_of_a_part_are_cut_by_one_indexing(monkeypatch):
    numbers = indices_of(10)
    nested = data.Subset(data.Subset(numbers, range(1, 10)), [8, 0, 3])
    calls = []
    monkeypatch.setattr(TensorDataset, "__getitem__", lambda self, i: calls.append(i) or (i, i))
    x, y = next(iter(DataLoader(nested, 3)))
    assert x.tolist() == [9, 1, 4] and y.dtype == np.float32 and not calls
    assert list(DataLoader(nested, 2, collate_fn=list)) == [[(9, 9), (1, 1)], [(4, 4)]]


SAMPLERS = [
    lambda s, t: s.SequentialSampler(range(7)), lambda s, t: s.RandomSampler(range(7)),
    lambda s, t: s.RandomSampler(range(7), replacement=True, num_samples=12),
    lambda s, t: s.RandomSampler(range(7), num_samples=17),
    lambda s, t: s.SubsetRandomSampler([5, 2, 6]),
    lambda s, t: s.WeightedRandomSampler([0.0, 3.0, 1.0], 50),
    lambda s, t: s.WeightedRandomSampler(t.tensor([2.0, 3.0, 1.0]), 3, replacement=False),
    lambda s, t: s.BatchSampler(s.SequentialSampler(range(7)), 3, False),
    lambda s, t: s.BatchSampler(range(7), 3, drop_last=True),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(SAMPLERS)))
def test_samplers_give_as_many_of_the_same_as_pytorchs(case):
    torch = pytest.importorskip("torch")
    ours = SAMPLERS[case](data, tinygen)
    theirs = SAMPLERS[case](torch.utils.data, torch)
    a, b = list(ours), list(theirs)
    assert len(ours) == len(theirs) == len(a)
    if case in (0, 1, 4, 6, 7, 8):  # no repetition
        assert sorted(a) == sorted(b)
    if case == 3:
        assert sorted(a[:7]) == sorted(a[7:14]) == list(range(7)) and len(set(a[14:])) == 3
    if case == 5:
        assert set(a) == {1, 2} and 25 < a.count(1) < 48
    if 1 <= case <= 6 and case != 5:
        manual_seed(1)
        first = list(SAMPLERS[case](data, tinygen))
        manual_seed(1)
        assert first == list(SAMPLERS[case](data, tinygen))


class Odd(data.Sampler[int]):
    """A sampler of one's own, drawn anew in each epoch."""

    def __iter__(self):
        return iter((1 + 2 * default_generator.numpy.permutation(5)).tolist())

    def __len__(self):
        return 5


def test_a_loader_asks_its_sampler():
    loader = DataLoader(indices_of(10), 2, sampler=Odd())
    batches = drain(loader)
    assert [len(b) for b in batches] == [2, 2, 1] and len(loader) == 3
    assert sorted(sum(batches, [])) == [1, 3, 5, 7, 9]
    loader = DataLoader(indices_of(10), batch_sampler=[[1, 2, 3], [0]])
    assert drain(loader) == drain(loader) == [[1, 2, 3], [0]] and len(loader) == 2


def test_a_sampled_epoch_resumes_in_its_middle():
    loader = DataLoader(indices_of(10), 2, sampler=Odd())
    batches = iter(loader)
    begun = drain(itertools.islice(batches, 1))
    state = json.loads(json.dumps(loader.state_dict()))
    rest = drain(batches)
    resumed = DataLoader(indices_of(10), 2, sampler=Odd())
    resumed.load_state_dict(state)
    assert drain(resumed) == rest and sorted(sum(begun + rest, [])) == [1, 3, 5, 7, 9]
    assert resumed.state_dict()["drawn"] is None and len(drain(resumed)) == 3


@pytest.mark.parametrize("wrong", [
    {"sampler": Odd(), "shuffle": True}, {"sampler": Odd(), "batch_sampler": [[1]]},
    {"batch_sampler": [[1]], "batch_size": 2}, {"batch_sampler": [[1]], "drop_last": True},
])  # fmt: skip
def test_samplers_that_exclude_each_other(wrong):
    with pytest.raises(ValueError, match="DataLoader: expected sampler without shuffle"):
        DataLoader(indices_of(10), **wrong)
