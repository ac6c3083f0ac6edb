"""save and load: what comes back, and what is said when a file or a disk is bad."""

import errno
import io
import json
import math
import os
import random
import stat
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygen import serialization
from tinygen.serialization import load, save
from tinygen.tensor import Tensor, wrap

DAMAGES = int(os.environ.get("TINYGEN_DAMAGES", "400"))
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


def repacked(content, entries=None, method=zipfile.ZIP_DEFLATED):
    """An archive of the same entries, compressed; those in `entries` changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, (entries or {}).get(name, old.read(name)))
    return out.getvalue()


def damaged(rng, content, other):
    """`content` after a few accidents."""
    for _ in range(rng.randint(1, 3)):
        a, b = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        part = content[a:b][: rng.randint(1, 64)]
        flipped = bytes([byte ^ (1 << rng.randrange(8)) for byte in part[:1]])
        content = rng.choice(
            [
                content[:a],  # truncated
                content[:a] + flipped + content[a + 1 :],  # a bit flipped
                content[:a] + bytes(len(part)) + content[a + len(part) :],  # zeroed
                content[:a] + content[b:],  # a part lost
                content[:b] + part + content[b:],  # a part twice
                content[:a] + other[a:],  # spliced with another file
                content[a:] + content[:a],  # rotated
                content + other[: b - a],  # something appended
            ]
        )
    return content


def test_whatever_happens_to_a_file_it_is_right_or_refused(path, good_bytes):
    """One clear RuntimeError, or what was saved, and never another outcome."""
    other = {"w": np.linspace(-2, 2, 50).astype("f4"), "n": {1: [3.5, "y"]}, "b": wrap(np.ones(9))}
    save(other, path)
    files = [good_bytes, path.read_bytes(), repacked(good_bytes), repacked(path.read_bytes())]
    rng, refused = random.Random(DAMAGES), 0
    for _ in range(DAMAGES):
        path.write_bytes(damaged(rng, rng.choice(files), rng.choice(files)))
        try:
            back = load(path)
        except RuntimeError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            whole = [GOOD, other]
            assert_same(back, whole[back["n"][1][1] == "y"])
    print(f"{DAMAGES} damaged files: {refused} refused, {DAMAGES - refused} right, none else")
    assert refused > DAMAGES / 2


def forged(path, **structure):
    """Write a file whose checksums are right and whose structure is this."""
    text = structure.pop("text", None) or json.dumps({"tinygen": 1, **structure})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("structure.json", text)
        for name, array in (("w", np.arange(3.0)), ("n", np.arange(2)), ("t", np.array(["x"]))):
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{name}.npy", stream.getvalue())


NESTED = '{"tinygen": 1, "tree": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    "structure",
    [
        {"tree": {}},
        {"tree": {"tensor": "t"}},
        {"tree": {"tensor": "n", "requires_grad": True}},
        {"tree": {"scalar": "w"}},
        {"tree": {"float": "1e999"}},
        {"tree": {"tuple": "abc"}},
        {"tree": {"dict": [[["a"], 1]]}},
        {"tree": {"tensor": ["w"]}},
        {"tree": {"pickle": "w"}},
        {},
        {"tree": 1, "tinygen": "1"},
        {"tree": 1, "tinygen": None},
        {"text": NESTED},
        {"text": '{"tinygen": 1, "tree": 1e999}'},
        {"text": '{"tinygen": 1e999, "tree": 1}'},
        {"text": '{"tinygen": 1, "tree": NaN}'},
        {"text": '{"tinygen": 1, "tree": ' + "9" * 5000 + "}"},
        {"text": '{"tinygen": 1, "tree": "\\ud800'},
        {"text": "[1, 2]"},
        {"text": " "},
    ],
    ids=lambda structure: str(structure)[:40],
)
def test_a_forged_structure_is_one_error(path, structure):
    forged(path, **structure)
    with pytest.raises(RuntimeError, match="weights.npz is (incomplete|truncated or damaged)") as e:
        load(path)
    assert "\n" not in str(e.value) and len(str(e.value)) < 400


nodes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["w", "n", "t", "?"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["tensor", "array", "scalar", "float", "tuple", "dict", "requires_grad", "?"]
            ),
            inner | st.lists(st.tuples(inner, inner), max_size=2),
            max_size=2,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(tree=nodes)
def test_any_structure_loads_or_is_refused(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("forged") / "x.npz"
    forged(path, tree=tree)
    try:
        load(path)
    except RuntimeError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "shape", ["(1,)" * 255, "(-1,)", "(2**63,)", "(9999999999999,)", "(" + "-" * 9000 + "1,)", "3"]
)
def test_a_header_that_lies_is_one_error_before_anything_is_allocated(path, shape):
    shape = "(" + "1," * 255 + ")" if shape.startswith("(1,)(") else shape
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(8)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", array)
    tracemalloc.start()
    with pytest.raises(RuntimeError, match="entry 'w.npy' is not a NumPy array"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_bombs(path):
    """Small files that unpack to gigabytes: refused before anything is unpacked."""
    head = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': "
    head = (head + b"(536870912,), }").ljust(127) + b"\n"
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("w.npy", "w") as entry:
        entry.write(head)
        for _ in range(1 << 9):
            entry.write(bytes(1 << 20))
    assert path.stat().st_size < 10**7
    tracemalloc.start()
    with pytest.raises(RuntimeError, match=r"weights.npz would unpack from .* to 536,871,040"):
        load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("structure.json", bytes(2**28 + 1))
    tracemalloc.reset_peak()
    with pytest.raises(RuntimeError, match="weights.npz would unpack from"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    np.savez_compressed(path, mask=np.zeros(10**7, np.uint8))  # 100 to 1, and welcome
    assert load(path)["mask"].shape == (10**7,)


def test_an_entry_that_stands_twice(path):
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for value in (1, 2):
            archive.writestr("structure.json", json.dumps({"tinygen": 1, "tree": value}))
    with pytest.raises(RuntimeError, match="weights.npz is .*damaged .an entry stands there twice"):
        load(path)


def test_an_empty_directory(path, good_bytes):
    np.savez(path)
    assert load(path) == {}
    path.write_bytes(good_bytes[:-10] + bytes(10))  # the directory's size, at the end of the file
    with pytest.raises(RuntimeError, match="weights.npz is .*damaged .its directory is empty"):
        load(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_is_loaded_in_one_copy(path, order):
    array = np.asarray(np.random.default_rng(0).normal(size=(256, 4096)), order=order)
    save({"w": array, "b": array[0]}, path)
    tracemalloc.start()
    back = load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * array.nbytes
    assert np.array_equal(back["w"], array) and back["w"].flags.writeable


def test_what_can_be_saved_can_be_loaded_however_deep(path):
    tree, depth = [], 0
    try:
        while True:
            for _ in range(50):
                tree = [tree]
            depth += 50
            save(tree, path)
    except ValueError as error:
        assert "nested too deeply" in str(error)
    back = load(path)
    for _ in range(depth - 50):
        (back,) = back
    assert back == [] and depth > 200


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
