"""The `tinygen` command."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import doctor
from .lessons import catalogue as lessons
from .run.script import Parser, count, in_a_line

__all__ = ["main"]

DESCRIPTION = """\
tinygen: generative models on a from-scratch autograd library in NumPy.

  tinygen demo      train a variational autoencoder on handwritten digits, on the CPU,
                    in about a minute; prints its test ELBO and writes pictures
  tinygen lessons   the lessons: notebooks that derive every model and execute every equation
  tinygen examples  the systems there are: what each is, its paper, how long its example takes
  tinygen run       train one of them: `tinygen run gan --data grid`
  tinygen sample    draw from the checkpoint of a run, or at once from a pretrained one
  tinygen doctor    what is installed, which devices work, what to install otherwise

An error is one line; with --debug it is a traceback.
"""

EPILOG = """\
New here? `tinygen sample vae-fashion` draws from a trained model, `tinygen demo` trains one: look
at its pictures, then read examples/vae.py from top to bottom, the script that the demo runs. A
first gradient needs four lines of Python:

  import tinygen
  x = tinygen.tensor([1.0, 2.0], requires_grad=True)
  (x ** 2).sum().backward()
  print(x.grad)                        # d sum(x^2) / dx = 2x = [2, 4]
"""

DEMO = """\
Train the demo's variational autoencoder: examples/vae.py with its --demo preset.

Everything else on the command line goes to that script, so its options work here too:

  tinygen demo --epochs 3              a shorter run
  tinygen demo --help                  the script's own options, explained
"""

LESSONS = """\
List the lessons, or open one in Jupyter (pip install 'tinygen[lessons]'):

  tinygen lessons                      numbers, titles, questions
  tinygen lessons 7                    copy lesson 7 into this folder and open the copy

The copy is yours: one that is there already is opened as it is.
"""

EXAMPLES = """\
List the systems by family: slug, title, paper, what to expect of the example that trains it (its
time on two cores, the figure that it prints), and where its card with pictures lies.
"""

RUN = """\
Run an example, whose options all work here; its output goes to runs/NAME in this folder:

  tinygen run gan                      a GAN on eight Gaussians
  tinygen run gan --help               the options of that example, explained
  tinygen run ddpm --epochs 50 --out runs/short

NAME is one of
"""

SAMPLE = """\
Draw samples with examples/sample.py, whose options all work here. From a checkpoint:

  tinygen sample runs/vae/last.npz
  tinygen sample runs/cgan/last.npz --labels 3 --n 20 --out threes.png

or, without any training, from one that comes with tinygen:

  tinygen sample vae-fashion
  tinygen sample text_to_image --captions "a green triangle"
"""

DATA = """\
List the data sets: pictures, size, classes, source and licence, and whether they are here; or
write a sheet of some pictures of one:

  tinygen data emoji --out sheet.png
"""

DOCTOR = """\
Look at this installation: Python, NumPy and its BLAS, the optional packages and what each is
for, the devices (CPU, CUDA, the emulator that runs CUDA kernels on a CPU), the data sets found.
Nothing is installed or downloaded. The exit status is 0 when tinygen works on the CPU.
"""


COMMANDS = ("demo", "lessons", "examples", "run", "sample", "data", "doctor")
EXPECT = re.compile(r"^Expect: (.+?)\n\n", re.MULTILINE | re.DOTALL)  # a paragraph of a docstring


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    usage = "tinygen [--help] [--version] {demo,lessons,examples,run,sample,data,doctor} ..."
    top = Parser("tinygen", usage, DESCRIPTION, EPILOG, formatter_class=raw)
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(
        dest="command", metavar=" | ".join(COMMANDS), prog="tinygen", help=argparse.SUPPRESS
    )
    commands.add_parser("demo", description=DEMO, formatter_class=raw, add_help=False)
    for name in ("run", "sample"):
        commands.add_parser(name, add_help=False)
    commands.add_parser("examples", description=EXAMPLES, formatter_class=raw)
    lesson = commands.add_parser("lessons", description=LESSONS, formatter_class=raw)
    lesson.add_argument("number", nargs="?", type=count, help="the lesson to open")
    sets = commands.add_parser("data", description=DATA, formatter_class=raw)
    sets.add_argument("name", nargs="?", help="the data set to show")
    sets.add_argument("--out", help="the picture to write (NAME.png)")
    check = commands.add_parser("doctor", description=DOCTOR, formatter_class=raw)
    kind = check.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="the same report for programs")
    kind.add_argument(
        "--gpu",
        action="store_true",
        help="after the report, check the kernels and time them on the GPU "
        "(benchmarks/speed/gpu_check.py, in a clone); exit status 1 where no GPU works",
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (sys.argv unless given); returns the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    words = [word for word in given if word != "--debug"]
    try:
        if words[:1] == ["demo"]:  # its options are the script's, so argparse must not see them
            return script("vae", DEMO, ["--demo"], words[1:])
        if words[:1] == ["sample"]:
            return script("sample", SAMPLE, [], words[1:])
        if words[:1] == ["run"]:
            return run(words[1:])
        options = parser().parse_args(words)
        if options.version:
            print(f"tinygen {doctor.tinygen_version()}")
        elif options.command == "doctor":
            return examine(options.json, options.gpu)
        elif options.command == "examples":
            return list_examples()
        elif options.command == "data":
            return list_data() if options.name is None else show_data(options.name, options.out)
        elif options.command == "lessons":
            return list_lessons() if options.number is None else open_lesson(options.number)
        else:
            parser().print_help()
        return 0
    except KeyboardInterrupt:
        print("tinygen: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `tinygen doctor | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in given:
            raise
        print(in_a_line(" ".join(["tinygen", *words[:1]]), error), file=sys.stderr)
        return 1


def script(name: str, about: str, first: Sequence[str], words: Sequence[str]) -> int:
    """Run an example with the options `first` and then `words`; --help says what `about` says."""
    path = find(f"examples/{name}.py")
    if path is None:
        print(missing(f"examples/{name}.py"), file=sys.stderr)
        return 1
    if {"-h", "--help"} & set(words):
        print(about)
        return run_script(path, ["--help"])
    return run_script(path, [*first, *words])


def run(words: Sequence[str]) -> int:
    """`tinygen run NAME options...`; without a NAME, or with --help before it, say which there are.

    What the example says of wrong options is its own.
    """
    from .models import SYSTEMS  # all of the models are loaded with it: late

    if not words or words[0] in ("-h", "--help"):
        print(f"{RUN}{textwrap.fill(', '.join(SYSTEMS), 88, **indented(2))}")
        return 0
    name, *rest = words
    if name not in SYSTEMS:
        there = ", ".join(SYSTEMS)
        print(f"tinygen run: no example is called {name!r}; there are {there}", file=sys.stderr)
        return 2
    path = find(f"examples/{name}.py")
    if path is None:
        print(missing(f"examples/{name}.py"), file=sys.stderr)
        return 1
    return run_script(path, rest)


def indented(columns: int) -> dict[str, Any]:
    return {"initial_indent": " " * columns, "subsequent_indent": " " * columns}


def list_examples() -> int:
    """Print slug, title, paper, label and card of every system's example, by family."""
    from .models import SYSTEMS
    from .models.systems import pretrained

    family = ""
    for slug, system in SYSTEMS.items():
        if system.family != family:
            family = system.family
            print(f"{family}/")
        print(f"  {slug:13} {system.title} ({system.paper})")
        print(textwrap.fill(label(slug), 96, **indented(16)))
        if card := find(f"docs/cards/{slug}.md"):
            near = card.relative_to(Path.cwd()) if card.is_relative_to(Path.cwd()) else card
            print(f"{' ' * 16}{near}")
    print("\nTrain one with `tinygen run <slug>`, then draw from it: `tinygen sample "
          "runs/<slug>/last.npz`.\nTrained already, for `tinygen sample <name>`: "
          + ", ".join(pretrained()))  # fmt: skip
    return 0


def label(slug: str) -> str:
    """What to expect of an example, as its docstring says: seconds, and the figure it prints."""
    path = find(f"examples/{slug}.py")
    if path is None:
        return missing(f"examples/{slug}.py")
    found = EXPECT.search(path.read_text(encoding="utf-8"))
    return " ".join(found[1].split()) if found else f"{path} has no line that begins with Expect:"


def list_data() -> int:
    """Print every data set: how many pictures of which size, where they are, whose they are."""
    from . import data

    for name, source in data.SOURCES.items():
        try:
            found = data.load(name, "all", verify=False)
            size = " x ".join(map(str, found.images.shape[1:]))
            about = f"{len(found):,} pictures {size}, {len(found.classes)} classes"
        except (FileNotFoundError, ValueError):
            where = f"apt install {source.package}, or " if source.package else ""
            about = f"not here: {where}load({name!r}, download=True)"
        print(f"{name:9} {about}\n{textwrap.fill(source.citation, 84, **indented(10))}")
    print("scenes    as many as you ask for, data.scenes(n): shapes, captions, an oracle")
    print("triangles as many as you ask for, data.polygons.triangles(n)")
    print(f"points    toy laws in the plane, data.toy(name, n): {', '.join(data.TOYS)}")
    return 0


def show_data(name: str, out: str | None) -> int:
    """Write a sheet of 160 pictures of a data set, evenly through its test part."""
    from . import data, plot

    if name in ("scenes", "triangles"):
        known = data.scenes(160) if name == "scenes" else data.polygons.triangles(160)
    else:
        known = data.load(name, "test")
    chosen = [i * len(known) // 160 for i in range(160)]
    path = out or f"{name}.png"
    scale = max(1, 64 // known.images.shape[2])
    plot.save_image(known.to_unit()[chosen], path, scale=scale, nrow=16)
    print(f"{path}: 160 of {len(known):,} pictures")
    return 0


def list_lessons() -> int:
    """Print number, title and question of every lesson."""
    try:
        found = lessons.lessons()
    except FileNotFoundError as error:
        print(f"tinygen lessons: {error}", file=sys.stderr)
        return 1
    for lesson in found:
        question = textwrap.fill(lesson.question, 84, **indented(4))
        print(f"{lesson.number:2}  {lesson.title}\n{question}")
    print(
        f"\nOpen one with `tinygen lessons {found[0].number}`; they lie in {found[0].path.parent}"
    )
    return 0


def open_lesson(number: int) -> int:
    """Copy a lesson here and open the copy in Jupyter; 1 where there is no such lesson, no Jupyter.

    The lesson that came with tinygen stays as it is, and so does a copy that is here already.
    """
    try:
        found = {lesson.number: lesson.path for lesson in lessons.lessons()}
    except FileNotFoundError as error:
        print(f"tinygen lessons: {error}", file=sys.stderr)
        return 1
    if number not in found:
        there = ", ".join(map(str, found))
        print(f"tinygen lessons: there is no lesson {number}; there are {there}", file=sys.stderr)
        return 1
    source, copy = found[number], Path(found[number].name)
    if copy.exists():
        print(f"{copy} is here already and is opened as it is; for a fresh one move it away")
    else:
        shutil.copyfile(source, copy)
        print(f"{copy}: a copy of {source}")
    if importlib.util.find_spec("jupyterlab") is None:
        print(
            "tinygen lessons: Jupyter is not installed: pip install 'tinygen[lessons]'; then "
            f"`jupyter lab {copy}`",
            file=sys.stderr,
        )
        return 1
    root = getattr(os, "geteuid", lambda: 1)() == 0  # Jupyter refuses root unless told
    words = [sys.executable, "-m", "jupyter", "lab", *["--allow-root"] * root, str(copy)]
    return subprocess.call(words)


def examine(as_json: bool, gpu: bool) -> int:
    """Print the doctor's report, then check the GPU if asked to."""
    report = doctor.examine()
    if as_json:
        print(json.dumps(doctor.as_json(report), indent=2))
    else:
        print(doctor.as_text(report, colour=wants_colour()))
    if not gpu:
        return 0 if doctor.works(report) else 1
    return check_gpu(report)


def check_gpu(report: dict[str, list[doctor.Finding]]) -> int:
    cuda = [finding for finding in report["Devices"] if finding.name == "cuda"]
    if not any(finding.state == doctor.OK for finding in cuda):
        reason = cuda[0].note if cuda else "see FAIL above"
        print(f"tinygen doctor --gpu: {reason}. Nothing was measured.", file=sys.stderr)
        return 1
    script = find("benchmarks/speed/gpu_check.py")
    if script is None:
        print(missing("benchmarks/speed/gpu_check.py"), file=sys.stderr)
        return 1
    return run_script(script, [])


def find(name: str) -> Path | None:
    """A script of the repository: in the clone that this package lies in, or packaged with it."""
    package = Path(__file__).resolve().parent
    clone = package.parent if (package.parent / "pyproject.toml").is_file() else package
    return next((path for path in (clone / name, package / name) if path.is_file()), None)


def missing(name: str) -> str:
    return (
        f"tinygen: {name} is not here. It comes with the repository: clone it and run "
        f"`python {name}` there."
    )


def run_script(path: Path, words: Sequence[str]) -> int:
    """Run a Python file as `python path words...` would, in this process; its exit status."""
    before = sys.argv, list(sys.path), sys.excepthook
    sys.argv, sys.path[:0] = [str(path), *words], [str(path.parent)]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv, sys.path[:], sys.excepthook = before
    return 0


def wants_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
