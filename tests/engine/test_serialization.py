"""save and load: what comes back, and what is said when a file or a disk is bad."""

import errno
import math
import os
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygen import serialization
from tinygen.serialization import load, save
from tinygen.tensor import Tensor, wrap

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "bool"]


def assert_same(a, b):
    """Equal in value, type, dtype and shape, bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert a.requires_grad == b.requires_grad
        return assert_same(a._array, b._array)
    if isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    elif isinstance(a, dict):
        assert [(type(k), k) for k in a] == [(type(k), k) for k in b]
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, float):
        assert a == b and math.copysign(1, a) == math.copysign(1, b) or (a != a and b != b)
    else:
        assert a == b
    return None


arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text()
    | arrays
    | arrays.map(wrap)
    | st.sampled_from([np.float32(1.5), np.int64(3), np.bool_(True)])
)
keys = st.text() | st.integers() | st.none() | st.floats(-9, 9)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(tree=trees)
def test_round_trip(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("save") / "x.npz"
    save(tree, path)
    assert_same(tree, load(path))


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.text("a/.~1\0é", max_size=3), unique=True), seed=st.integers(0, 99))
def test_awkward_names_do_not_collide(tmp_path_factory, names, seed):
    rng = np.random.default_rng(seed)
    tree = {name: {"a": rng.normal(size=3), "": rng.normal(size=2)} for name in names}
    tree = {**tree, "structure.json": {"a": rng.normal(size=1)}}
    path = tmp_path_factory.mktemp("names") / "x.npz"
    save(tree, path)
    assert_same(tree, load(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


def test_strided_arrays_and_requires_grad(path):
    a = np.arange(120.0).reshape(2, 3, 4, 5)
    tree = [a.transpose(0, 3, 1, 2), a[::-1, :, ::2], np.asfortranarray(a[0, 0])]
    save([*tree, wrap(a).requires_grad_()], path)
    back = load(path)
    for x, y in zip(tree, back, strict=False):
        np.testing.assert_array_equal(x, y)
    assert back[3].requires_grad
    back[3]._array[...] = 0  # what was loaded can be written to


def test_saves_a_generators_and_an_optimizers_state(path):
    from tinygen.backend import Generator
    from tinygen.optim import Adam

    generator = Generator().manual_seed(7)
    p = wrap(np.ones(3, np.float32)).requires_grad_()
    p.grad = wrap(np.ones(3, np.float32))
    opt = Adam([p])
    opt.step()
    save({"rng": generator.get_state(), "opt": opt.state_dict()}, path)
    expected = generator.numpy.normal(size=5)
    back = load(path)
    fresh = Generator()
    fresh.set_state(back["rng"])
    np.testing.assert_array_equal(fresh.numpy.normal(size=5), expected)
    assert back["opt"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert_same(back["opt"]["state"][0]["exp_avg"], opt.state[p]["exp_avg"])


def test_numpy_reads_it_by_readable_names(path):
    save({"model": {"0.weight": wrap(np.eye(2))}, "lr": 0.1}, path)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["model/0.weight"], np.eye(2))
        assert b'"lr"' in file["structure.json"]


def test_a_plain_npz_is_a_dict_of_tensors(path):
    np.savez(path, a=np.eye(2), b=np.arange(3, dtype=">i4"), text=np.array(["x"]))
    back = load(path)
    assert list(back) == ["a", "b", "text"]
    assert back["a"].tolist() == np.eye(2).tolist() and back["b"].dtype == np.int32
    assert back["text"].tolist() == ["x"]


def test_the_same_content_is_the_same_bytes_with_ordinary_permissions(path, tmp_path):
    tree = {"a": np.arange(3), "b": [1, 2]}
    save(tree, path)
    save(tree, tmp_path / "again.npz")
    (tmp_path / "plain").write_bytes(b"")
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()
    mode = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("weights.npz", "plain")]
    assert mode[0] == mode[1]


def test_follows_a_symbolic_link(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.npz"
    path.symlink_to(target)
    save([1], path)
    assert path.is_symlink() and load(target) == [1]


# --- what cannot be saved -------------------------------------------------------------------


class Strange:
    pass


@pytest.mark.parametrize(
    "tree, error, message",
    [
        ({"opt": {"hook": [1, Strange()]}}, TypeError, "save: opt/hook/1 is of type Strange; exp"),
        (Strange(), TypeError, "save: the object is of type Strange"),
        ({"a": {1, 2}}, TypeError, "save: a is of type set"),
        ({"a": np.array([None])}, TypeError, "save: a is an array of Python objects"),
        ({"a": {(1, 2): 3}}, TypeError, r"save: a has a key of type tuple, \(1, 2\)"),
    ],
)
def test_unserialisable(path, tree, error, message):
    save([1], path)
    with pytest.raises(error, match=message):
        save(tree, path)
    assert load(path) == [1] and os.listdir(path.parent) == [path.name]


def test_an_object_that_contains_itself(path):
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        save(loop, path)


# --- what cannot be loaded ------------------------------------------------------------------

GOOD = {"w": np.linspace(-1, 1, 50).astype("f4"), "n": {1: [2.5, "x"]}, "b": wrap(np.arange(9))}


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.npz"
    save(GOOD, path)
    return path.read_bytes()


def assert_refused_or_intact(path):
    """Either one clear RuntimeError that names the file, or exactly what was saved."""
    try:
        back = load(path)
    except RuntimeError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return True
    assert_same(back, GOOD)
    return False


def test_every_truncation_is_refused(path, good_bytes):
    for length in range(len(good_bytes)):
        path.write_bytes(good_bytes[:length])
        assert assert_refused_or_intact(path), length
    path.write_bytes(good_bytes[:-30])
    with pytest.raises(RuntimeError, match=r"weights.npz is truncated or damaged \(.*another copy"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(RuntimeError, match="weights.npz is an empty file"):
        load(path)


def test_no_flipped_bit_goes_unnoticed(path, good_bytes):
    """All bits of a sample of bytes: refused, or (dates and the like) without any effect."""
    refused = 0
    positions = range(0, len(good_bytes), 3)
    for position in positions:
        damaged = bytearray(good_bytes)
        damaged[position] ^= 1 << (position // 3 % 8)
        path.write_bytes(damaged)
        refused += assert_refused_or_intact(path)
    assert refused > len(positions) / 2


def test_a_flipped_weight_says_crc(path, good_bytes):
    at = good_bytes.index(GOOD["w"].tobytes()[:16])
    path.write_bytes(good_bytes[:at] + bytes([good_bytes[at] ^ 4]) + good_bytes[at + 1 :])
    with pytest.raises(RuntimeError, match="weights.npz is truncated or damaged .*CRC"):
        load(path)


def test_objects_are_never_unpickled(path):
    class Evil:
        def __reduce__(self):
            return (os.abort, ())

    np.savez(path, fine=np.eye(2), evil=np.array([Evil()], dtype=object))
    with pytest.raises(RuntimeError, match=r"entry 'evil.npy' holds Python objects, which could"):
        load(path)


def test_a_structure_that_does_not_fit(path, good_bytes, tmp_path):
    path.write_bytes(good_bytes)
    crippled, newer = tmp_path / "crippled.npz", tmp_path / "newer.npz"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(crippled, "w") as new:
        for name in old.namelist():
            if name != "w.npy":
                new.writestr(name, old.read(name))
    with pytest.raises(RuntimeError, match=r"crippled.npz is incomplete.*KeyError: 'w'"):
        load(crippled)
    with zipfile.ZipFile(newer, "w") as new:
        new.writestr("structure.json", '{"tinygen": 99, "tree": 1}')
    with pytest.raises(RuntimeError, match="newer.npz has format 99.*update tinygen"):
        load(newer)


def test_files_of_other_kinds(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="load: there is no file .*weights.npz"):
        load(path)
    path.write_text("hello, world")
    with pytest.raises(RuntimeError, match="weights.npz is not an .npz file"):
        load(path)
    np.save(tmp_path / "one.npy", np.eye(2))
    with pytest.raises(RuntimeError, match="one.npy is an .npy file, which np.load reads"):
        load(tmp_path / "one.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "dear all")
    with pytest.raises(RuntimeError, match="entry 'letter.txt' is not a NumPy array"):
        load(path)
    with pytest.raises(OSError, match="load: cannot read .*: Is a directory"):
        load(tmp_path)
    with pytest.raises(RuntimeError, match="expected 'cpu' or 'cuda'"):
        load(path, map_location="tpu")


# --- disks that refuse ----------------------------------------------------------------------


def assert_untouched(path):
    assert load(path) == ["old"] and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_system_call_leaves_the_old_file(path, monkeypatch, call):
    def refuse(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    save(["old"], path)
    monkeypatch.setattr(serialization.os, call, refuse)
    with pytest.raises(OSError, match="save: cannot write .*weights.npz: No space left.*untouch"):
        save(["new"], path)
    monkeypatch.undo()
    assert_untouched(path)


def test_ctrl_c_in_the_middle_leaves_the_old_file(path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    save(["old"], path)
    monkeypatch.setattr(serialization.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(["new"], path)
    monkeypatch.undo()
    assert_untouched(path)


def run_python(code, *args):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=60
    )


def test_a_full_disk_for_real(path):
    """A limit on the size of files: the write itself fails in the middle, as on a full disk."""
    pytest.importorskip("resource", reason="needs POSIX resource limits")
    save(["old"], path)
    code = """
import resource, sys, numpy as np
from tinygen.serialization import save
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save({"big": np.zeros(1_000_000)}, sys.argv[1])
except OSError as error:
    print(error)
"""
    done = run_python(code, path)
    assert "cannot write" in done.stdout and "File too large" in done.stdout, done.stderr
    assert done.stderr == ""
    assert_untouched(path)


def test_a_device_or_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(OSError, match="/dev/full is a folder or a device"):
        save([1], "/dev/full")
    with pytest.raises(OSError, match="is a folder or a device, not a file"):
        save([1], tmp_path)


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="save: cannot write .*gone/x.npz: No such file"):
        save([1], tmp_path / "gone" / "x.npz")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(path):
    save(["old"], path)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="save: cannot write .*Permission denied"):
            save(["new"], path)
    finally:
        path.parent.chmod(0o700)
    assert_untouched(path)
