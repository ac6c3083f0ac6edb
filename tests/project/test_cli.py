"""The `tinygen` command: the doctor on healthy and broken machines, and the demo's arguments."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinygen import cli, doctor, models
from tinygen.doctor import FAIL, NO, OK, WARN, Finding

ROOT = Path(cli.__file__).resolve().parents[1]


def run(*words, **options):
    command = [sys.executable, "-m", "tinygen", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)


def by_name(findings):
    return {finding.name: finding for finding in findings}


@pytest.fixture
def machine(monkeypatch):
    """A machine with the driver, the GPUs and the packages that a test says."""

    def make(driver=0, gpus=(), packages=None):
        monkeypatch.setattr(doctor, "cuda_driver", lambda: (driver, list(gpus)))
        if packages is not None:
            monkeypatch.setattr(doctor, "version_of", lambda name: packages.get(name, ""))

    return make


# --- the command --------------------------------------------------------------------------------


def test_help_teaches_and_says_what_there_is():
    for words in ([], ["--help"]):
        done = run(*words)
        assert done.returncode == 0 and not done.stderr
        assert "tinygen demo" in done.stdout and "tinygen doctor" in done.stdout
        assert "x = tinygen.tensor([1.0, 2.0], requires_grad=True)" in done.stdout
    assert "exit status is 0 when" in run("doctor", "--help").stdout


def test_the_program_in_the_help_text_runs():
    program = cli.EPILOG.partition("import tinygen")
    lines = [line.strip() for line in (program[1] + program[2]).splitlines()]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.startswith("tensor([2., 4.]"), done.stderr


def test_version(capsys):
    import tinygen

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinygen {tinygen.__version__}\n"


def test_unknown_words_are_refused():
    done = run("dance")
    assert done.returncode == 2 and "'dance'" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_without_a_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "tinygen: interrupted\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--epochs", "0"], "vae.py: argument --epochs: expected an integer >= 1, got '0'"),
        (["demo", "--device", "gpu"], "vae.py: argument --device: expected cpu or cuda, got 'gpu'"),
        (
            ["demo", "--data", "cats"],
            "vae.py: argument --data: invalid choice: 'cats' (choose from",
        ),
        (["demo", "--batch", "99999"], "tinygen demo: DataLoader: batch_size 99999 is larger"),
        (["lessons", "seven"], "tinygen lessons: argument number: expected an integer >= 1, got"),
        (
            ["dance"],
            "tinygen: argument demo | lessons | examples | run | sample | data | doctor: invalid ",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_one_line(words, message):
    done = run(*words)
    assert done.returncode in (1, 2) and done.stderr.startswith(message), done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_debug_shows_where(monkeypatch, capsys):
    def broken():
        raise RuntimeError("the doctor is ill")

    hook = sys.excepthook
    monkeypatch.setattr(doctor, "examine", broken)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == "tinygen doctor: the doctor is ill (--debug shows where)\n"
    for words in (["doctor", "--debug"], ["--debug", "doctor"]):
        with pytest.raises(RuntimeError, match="ill"):
            cli.main(words)
    assert sys.excepthook is hook


# --- the doctor ---------------------------------------------------------------------------------


def test_the_doctor_finds_this_machine_well():
    done = run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tinygen works here: device='cpu'" in done.stdout
    assert "\033" not in done.stdout and not done.stderr


def test_the_doctor_speaks_json():
    import numpy

    report = json.loads(run("doctor", "--json", check=True).stdout)
    assert report["ok"] is True
    base = {finding["name"]: finding for finding in report["sections"]["Base"]}
    assert base["numpy"]["value"] == numpy.__version__ and base["numpy"]["state"] == "ok"
    assert "BLAS" in base["numpy"]["note"] and base["python"]["note"].startswith(sys.executable)
    data = {finding["name"]: finding for finding in report["sections"]["Data sets"]}
    assert data["digits"]["state"] == "ok" and "cifar10" in data


def test_every_section_is_reported_when_every_probe_breaks(monkeypatch, capsys):
    def broken():
        raise OSError("libsomething.so.1:\n  cannot open shared object file")

    probes = [probe for section in doctor.SECTIONS.values() for probe in section]
    for probe in probes:
        monkeypatch.setattr(doctor, f"probe_{probe}", broken)
    assert cli.main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert text.count("OSError: libsomething.so.1: cannot open shared object file") == len(probes)
    assert all(title in text for title in doctor.SECTIONS)
    assert text.endswith("tinygen does not work here: see the lines marked FAIL.\n")


def test_a_broken_gpu_does_not_spoil_the_cpu(monkeypatch):
    monkeypatch.setattr(doctor, "probe_cuda", lambda: 1 / 0)
    report = doctor.examine()
    assert doctor.works(report)
    assert by_name(report["Devices"])["cuda"].state == FAIL


def test_a_wrong_gradient_fails_the_cpu(monkeypatch):
    wrong = [Finding("cpu", FAIL, "broken", "the gradient of sum(x^2) at 1, 2, 3 is [1, 2, 3]")]
    monkeypatch.setattr(doctor, "probe_cpu", lambda: wrong)
    assert not doctor.works(doctor.examine())


def test_the_threads_of_blas_are_asked_of_the_library():
    code = "from tinygen import doctor; print(doctor.blas(), doctor.blas_threads())"
    env = {"OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env, check=True
    )
    if "openblas" not in done.stdout or not sys.platform.startswith("linux"):
        pytest.skip("NumPy's BLAS is not OpenBLAS on Linux")
    assert done.stdout.endswith("1 thread 1\n")


def test_missing_packages_are_named_with_what_they_are_for(machine):
    machine(packages={"tqdm": "4.0"})
    found = by_name(doctor.probe_optional())
    assert (found["tqdm"].state, found["tqdm"].value) == (OK, "4.0")
    assert found["matplotlib"].state == NO
    assert found["matplotlib"].advice == "pictures: pip install 'tinygen[plot]'"


@pytest.mark.parametrize(
    ("driver", "advice"),
    [
        (0, ""),
        (11040, "update the NVIDIA driver: it runs CUDA 11.4, tinygen needs 12 or newer"),
        (12090, "device=\"cuda\": pip install 'tinygen[cuda12]'"),
        (13010, "device=\"cuda\": pip install 'tinygen[cuda13]'"),
    ],
)
def test_without_cupy_the_driver_says_which_to_install(machine, driver, advice):
    machine(driver, packages={})
    (cupy,) = doctor.probe_cupy()
    assert (cupy.state, cupy.advice) == (NO, advice)
    assert doctor.probe_runtime() == []


def test_two_cupys_are_a_conflict(machine):
    machine(12090, packages={"cupy-cuda12x": "14.2.0", "cupy-cuda13x": "14.2.0"})
    (cupy,) = doctor.probe_cupy()
    assert cupy.state == FAIL
    assert cupy.note == "installed: cupy-cuda12x 14.2.0, cupy-cuda13x 14.2.0"
    assert "pip uninstall cupy-cuda12x cupy-cuda13x; then" in cupy.advice
    assert "'tinygen[cuda12]'" in cupy.advice


class FakeCupy:
    """What the doctor asks of CuPy."""

    def __init__(self, runtime, nvrtc):
        self.cuda = self.runtime = self.nvrtc = self
        self.runtimeGetVersion = lambda: runtime
        self.getVersion = lambda: nvrtc


@pytest.mark.parametrize(
    ("driver", "runtime", "nvrtc", "states", "advice"),
    [
        (12090, 12080, (12, 8), [OK, OK], ["", ""]),
        (12090, 12080, (13, 0), [OK, WARN], ["", "NVRTC 13.0 beside runtime 12.8"]),
        (12090, 13000, (13, 0), [FAIL, OK], ["CUDA 12.9 at most", ""]),
        (0, 12080, (12, 8), [OK, OK], ["", ""]),
    ],
)
def test_runtime_driver_and_compiler_must_fit(
    machine, monkeypatch, driver, runtime, nvrtc, states, advice
):
    machine(driver, packages={"cupy-cuda12x": "14.2.0"})
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(runtime, nvrtc))
    found = doctor.probe_runtime()
    assert [finding.name for finding in found] == ["runtime", "nvrtc"]
    assert [finding.state for finding in found] == states
    for finding, text in zip(found, advice, strict=True):
        assert text in finding.advice and bool(text) == bool(finding.advice)


DRIVER = """
#include <string.h>
int cuDriverGetVersion(int *v) { *v = 12090; return 0; }
int cuInit(unsigned flags) { return flags ? 1 : STATUS; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *device, int i) { *device = 7 + i; return 0; }
int cuDeviceGetName(char *name, int n, int d) { strncpy(name, d == 7 ? "A" : "B", n); return 0; }
int cuDeviceTotalMem_v2(size_t *size, int d) { *size = (size_t)(d + 73) << 30; return 0; }
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="builds a Linux library")
@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, "(12090, [('A', '80 GiB'), ('B', '81 GiB')])"), (100, "(12090, [])")],
)
def test_the_driver_library_is_asked_itself(tmp_path, status, expected):
    (tmp_path / "driver.c").write_text(DRIVER)
    build = ["gcc", "-shared", "-fPIC", f"-DSTATUS={status}", "-o", "libcuda.so.1", "driver.c"]
    subprocess.run(build, cwd=tmp_path, check=True)
    code = "from tinygen import doctor; print(doctor.cuda_driver())"
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env
    )
    assert done.stdout.strip() == expected, done.stderr


def test_gpus_are_listed(machine):
    machine(12090, [("NVIDIA H200", "140 GiB")])
    driver, gpu = doctor.probe_driver()
    assert (driver.value, gpu.value, gpu.note) == ("CUDA 12.9", "NVIDIA H200", "140 GiB")


def test_without_a_compiler_the_emulator_says_what_to_install(monkeypatch):
    from tinygen.cuda import compiler

    def none():
        raise RuntimeError("found none: apt install g++")

    monkeypatch.setattr(compiler, "compiler", none)
    (found,) = doctor.probe_emulator()
    assert (found.state, found.advice) == (NO, "found none: apt install g++")


def test_damaged_data_is_told_from_missing_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGEN_DATA", str(tmp_path))
    found = by_name(doctor.probe_data())
    assert found["digits"].state == OK and found["mnist"].state == NO
    assert "download=True" in found["mnist"].note
    (tmp_path / "mnist").mkdir()
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / "mnist" / name).write_bytes(b"not a data set")
    mnist = by_name(doctor.probe_data())["mnist"]
    assert mnist.state == FAIL and "t10k" in mnist.advice


def test_columns_are_aligned_and_coloured_only_when_asked():
    report = {
        "Base": [Finding("numpy", OK, "2.4", "arrays"), Finding("python", OK, "3.11.7", "here")],
        "Devices": [Finding("cpu", OK), Finding("cuda", FAIL, "-", "no", "buy one")],
    }
    lines = doctor.as_text(report).splitlines()
    assert lines[1:3] == ["  ok    numpy   2.4     arrays", "  ok    python  3.11.7  here"]
    assert lines[-4:] == [
        "What to do, if you want it", "  buy one", "", "tinygen works here: device='cpu'."
    ]  # fmt: skip
    coloured = doctor.as_text(report, colour=True)
    assert "\033[32mok  \033[0m  numpy" in coloured and "\033[31mFAIL\033[0m  cuda" in coloured


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert not cli.wants_colour()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.wants_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not cli.wants_colour()


def test_the_gpu_check_needs_a_gpu_and_its_script(monkeypatch, tmp_path, capfd):
    report = {"Base": [Finding("numpy", OK)], "Devices": [Finding("cuda", NO, "-", "no GPU")]}
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert cli.main(["doctor", "--gpu"]) == 1
    assert "no GPU. Nothing was measured." in capfd.readouterr().err
    report["Devices"] = [Finding("cuda", OK)]
    monkeypatch.setattr(cli, "find", lambda name: None)
    assert cli.main(["doctor", "--gpu"]) == 1
    assert "benchmarks/speed/gpu_check.py is not here" in capfd.readouterr().err
    script = tmp_path / "gpu_check.py"
    script.write_text("import sys; print('checking', sys.argv[1:]); sys.exit(3)")
    monkeypatch.setattr(cli, "find", lambda name: script)
    assert cli.main(["doctor", "--gpu"]) == 3
    assert "checking []" in capfd.readouterr().out


# --- the demo -----------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A stand-in for examples/vae.py that says how it was called."""
    path = tmp_path / "vae.py"
    path.write_text(
        "import sys\nassert __name__ == '__main__'\nprint(sys.argv[1:], sys.path[0])\n"
        "if '--fail' in sys.argv: sys.exit('no such data set')\n"
    )
    monkeypatch.setattr(cli, "find", lambda name: path)
    return path


@pytest.mark.parametrize("words", [[], ["--epochs", "3"], ["--out", "x y", "--", "--json"]])
def test_the_demo_passes_its_arguments_on(script, capsys, words):
    before = list(sys.argv), list(sys.path)
    assert cli.main(["demo", *words]) == 0
    assert capsys.readouterr().out == f"{['--demo', *words]} {script.parent}\n"
    assert (sys.argv, sys.path) == before


def test_the_demo_s_help_is_the_script_s_too(script, capsys):
    assert cli.main(["demo", "--help"]) == 0
    out = capsys.readouterr().out
    assert "tinygen demo --epochs 3" in out and "['--help']" in out


def test_the_demo_s_failure_is_the_command_s(script, capsys):
    assert cli.main(["demo", "--fail"]) == 1
    assert capsys.readouterr().err == "no such data set\n"


def test_a_demo_that_is_not_there_is_missed_politely(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "examples/vae.py is not here. It comes with the repository" in capsys.readouterr().err


def test_scripts_are_found_in_a_clone_first_and_in_the_package_else(tmp_path, monkeypatch):
    package = tmp_path / "tinygen"
    for folder in (tmp_path, package):
        (folder / "examples").mkdir(parents=True)
        (folder / "examples" / "vae.py").write_text("")
    monkeypatch.setattr(cli, "__file__", str(package / "cli.py"))
    assert cli.find("examples/vae.py") == package / "examples" / "vae.py"  # no clone: a wheel
    (tmp_path / "pyproject.toml").write_text("")
    assert cli.find("examples/vae.py") == tmp_path / "examples" / "vae.py"
    assert cli.find("examples/none.py") is None


# --- examples and samples -----------------------------------------------------------------------


def test_the_examples_are_listed_with_label_and_card(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert cli.main(["examples"]) == 0
    said = capsys.readouterr().out
    for slug, system in models.SYSTEMS.items():
        assert f"  {slug:13} {system.title} (" in said and cli.label(slug)[:60] in said
        assert f"{' ' * 16}docs/cards/{slug}.md\n" in said
    assert all(name in said for name in models.pretrained())


def test_run_names_the_examples(capsys):
    for words in (["run"], ["run", "--help"]):
        assert cli.main(words) == 0
        said = capsys.readouterr().out
        assert "tinygen run gan --help" in said and all(slug in said for slug in models.SYSTEMS)
    assert cli.main(["run", "vea"]) == 2
    assert capsys.readouterr().err.startswith(
        "tinygen run: no example is called 'vea'; there are mixture, made, pixelcnn, pixelrnn"
    )


def test_run_passes_the_options_on(script, capsys):
    assert cli.main(["run", "gan", "--data", "grid"]) == 0
    assert capsys.readouterr().out.startswith("['--data', 'grid']")


def test_a_data_set_that_is_not_there_is_answered_with_toys_and_images():
    done = run("run", "gan", "--data", "foo")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "'ring', 'grid'" in done.stderr and "'digits'" in done.stderr


@pytest.mark.parametrize("name", models.pretrained())
def test_a_pretrained_model_draws(tmp_path, name):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tinygen", "sample", name, "--n", "10"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert said.returncode == 0, said.stderr
    made = [path for path in tmp_path.iterdir() if path.name in said.stdout]
    assert made and all(path.name.startswith(name) for path in made)
    assert sorted(made) == sorted(tmp_path.iterdir())


def test_a_checkpoint_that_is_not_there_is_answered_with_the_pretrained(tmp_path):
    done = run("sample", "vae-fasion")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "there is no file vae-fasion; pretrained are dcgan-digits, " in done.stderr


# --- the lessons --------------------------------------------------------------------------------


def test_the_lessons_are_listed_with_their_questions(capsys):
    assert cli.main(["lessons"]) == 0
    said = capsys.readouterr().out
    for lesson in cli.lessons.lessons():
        assert f"{lesson.number:2}  {lesson.title}" in said and lesson.question[:40] in said


@pytest.mark.parametrize("user", [0, 1000])
def test_a_lesson_is_copied_here_and_the_copy_is_opened(tmp_path, monkeypatch, capsys, user):
    """Jupyter won't run for root, whom a container has, unless it is told to."""
    lesson = cli.lessons.lessons()[0]
    called, copy = [], tmp_path / lesson.path.name
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(cli.subprocess, "call", lambda words: called.append(words) or 0)
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: object())
    assert cli.main(["lessons", str(lesson.number)]) == 0
    root = ["--allow-root"] if user == 0 else []
    assert called == [[sys.executable, "-m", "jupyter", "lab", *root, copy.name]]
    assert copy.read_bytes() == lesson.path.read_bytes()

    copy.write_text("my notes")
    assert cli.main(["lessons", str(lesson.number)]) == 0
    assert copy.read_text() == "my notes" and len(called) == 2
    assert f"{copy.name} is here already and is opened as it is" in capsys.readouterr().out


def test_without_jupyter_a_lesson_is_copied_too(tmp_path, monkeypatch, capsys):
    lesson = cli.lessons.lessons()[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["lessons", str(lesson.number)]) == 1
    assert "pip install 'tinygen[lessons]'; then `jupyter lab 0" in capsys.readouterr().err
    assert (tmp_path / lesson.path.name).exists()


def test_a_lesson_that_is_not_there(monkeypatch, capsys):
    assert cli.main(["lessons", "99"]) == 1
    assert "there is no lesson 99; there are 1" in capsys.readouterr().err
    monkeypatch.setattr(cli.lessons, "find_folder", lambda: None)
    assert cli.main(["lessons"]) == cli.main(["lessons", "7"]) == 1
    assert capsys.readouterr().err.count("no lessons here") == 2
