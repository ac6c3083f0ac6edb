"""The architecture is a test: imports point upwards in one reading order, and few are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import tinygen

ROOT = Path(tinygen.__file__).parent

# Read in this order; a file imports only from files above it. A package is read as one entry, its
# __init__ last; PARTS gives the order inside the packages whose files have one.
READING_ORDER = [
    "checks",
    "names",
    "backend",
    "constants",
    "threads",
    "tape",
    "tensor",
    "view",
    "function",
    "autograd",
    "derivatives",
    "ops",
    "linalg",
    "stubs",
    "serialization",
    "cuda",
    "conv",
    "nn",
    "optim",
    "distributions",
    "testing",
    "data",
    "utils",
    "models",
    "metrics",
    "plot",
    "run",
    "lessons",
    "__init__",  # the front page: names from all of the above
    "doctor",
    "cli",
    "__main__",
]
# The floors of models/, from the ground up: a file imports from its own family or from below, and
# families on one floor never import each other.
GROUND = {"nets", "likelihoods", "latent", "ode", "systems"}
FAMILIES = {"explicit", "vae", "gan", "diffusion", "autoregressive", "flow", "score"}
COMBINED = {"vq", "translation"}
ABOVE = {"text"}
OPS = [
    "promotion",
    "explain",
    "signatures",
    "on_gpu",
    "op",
    "half",
    "convert",
    "elementwise",
    "activations",
    "kinks",
    "comparisons",
    "trigonometry",
    "special",
    "shapes",
    "diagonals",
    "indexing",
    "in_place",
    "scattering",
    "rearrange",
    "derived_shapes",
    "reductions",
    "order",
    "counting",
    "softmaxes",
    "products",
    "linalg",
    "decompositions",
    "derived",
    "creation",
    "new",
    "compare",
    "methods",
    "windows",
    "pooling",
    "more_pooling",
    "folding",
    "images",
]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below tinygen, '' for the package itself."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _statements(tree: ast.AST) -> list[ast.AST]:
    """All nodes, those inside functions included, those under `if TYPE_CHECKING` left out."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        found.append(node)
        stack += [] if _type_checking(node) else list(ast.iter_child_nodes(node))
    return found


def imports_of(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of tinygen that a file imports anywhere, as dotted names below tinygen."""
    is_package = path.name == "__init__.py"
    package = name.split(".") if name else []
    package = package if is_package else package[:-1]
    found = set()
    for node in _statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "tinygen"]
            found |= {dotted.removeprefix("tinygen").lstrip(".") for dotted in names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
            elif (node.module or "").split(".")[0] == "tinygen":
                base = []
            else:
                continue
            tail = (node.module or "").split(".") if node.module else []
            tail = tail[1:] if tail and tail[0] == "tinygen" and not node.level else tail
            target = ".".join([*base, *tail])
            for alias in node.names:
                inner = f"{target}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else target)
    return found


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imports_of(name, path, set(known)) for name, path in known.items()}


def place(name: str) -> int:
    top = name.split(".")[0] if name else "__init__"
    return READING_ORDER.index(top)


def test_every_module_has_its_place_in_the_reading_order() -> None:
    tops = {name.split(".")[0] if name else "__init__" for name in modules()}
    assert tops <= set(READING_ORDER), f"not in READING_ORDER: {tops - set(READING_ORDER)}"


def test_imports_point_upwards_in_the_reading_order() -> None:
    wrong = [
        f"{name or '__init__'} imports {other or 'the package itself'}"
        for name, others in graph().items()
        if name  # the front page loads the files below it lazily, in functions
        for other in others
        if place(other) > place(name)
    ]
    assert not wrong, wrong


def floor(room: str) -> int:
    return next(i for i, rooms in enumerate((GROUND, FAMILIES, COMBINED, ABOVE)) if room in rooms)


def test_no_family_of_models_imports_another_of_its_floor() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in graph().items()
        if name.startswith("models.")
        for other in others
        if other.startswith("models.")
        and (a := name.split(".")[1]) != (b := other.split(".")[1])
        and (floor(b) > floor(a) or floor(a) == floor(b) > 0)
    ]
    assert not wrong, wrong


def test_the_ops_are_read_in_rising_difficulty() -> None:
    position = {f"ops.{part}": i for i, part in enumerate(OPS)}
    there = {name for name in modules() if name.startswith("ops.")}
    assert there == set(position), f"OPS and the files differ: {there ^ set(position)}"
    wrong = [
        f"{name} imports {other}"
        for name, others in graph().items()
        if name in position
        for other in others
        if position.get(other, -1) > position[name] or other == "ops"
    ]
    assert not wrong, wrong


def test_there_are_no_cycles() -> None:
    """Function-level imports included; a package that imports its own parts is no cycle."""
    edges = {name: {o for o in others if o != name} for name, others in graph().items() if name}
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        assert name not in path, f"cycle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done or name not in edges:
            return
        path.append(name)
        for other in sorted(edges[name]):
            visit(other)
        done.add(path.pop())

    for name in edges:
        visit(name)


def test_the_walk_sees_function_level_and_relative_imports(tmp_path: Path) -> None:
    source = tmp_path / "thing.py"
    source.write_text(
        "from __future__ import annotations\nimport numpy\nfrom ..tensor import wrap\n"
        "def f():\n    from tinygen.nn import functional\n    import tinygen.run\n"
        "    from .. import conv\n"
    )
    known = {"tensor", "nn", "nn.functional", "run", "conv", "ops.thing"}
    assert imports_of("ops.thing", source, known) == {"tensor", "nn.functional", "run", "conv"}


def _python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout


def test_import_tinygen_loads_numpy_and_nothing_else_from_outside() -> None:
    loaded = _python(
        "import sys, numpy, numpy.random; before = set(sys.modules)\n"
        "import tinygen\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    ).split()
    outside = {m for m in loaded if m not in sys.stdlib_module_names} - {"tinygen"}
    assert not outside, f"import tinygen also loads {outside}"


def test_import_tinygen_is_small() -> None:
    """Counted in modules, not in seconds: the heavy parts are loaded when they are used."""
    loaded = _python(
        "import sys, numpy, numpy.random; before = set(sys.modules)\n"
        "import tinygen\n"
        "print(*(set(sys.modules) - before))"
    ).split()
    ours = {m for m in loaded if m.startswith("tinygen")}
    lazy = ("data", "distributions", "plot", "run", "cli", "testing", "metrics", "models", "doctor")
    assert not {m for m in ours if m.split(".")[1:2] and m.split(".")[1] in lazy}
    assert len(ours) <= 45 and len(loaded) - len(ours) <= 25, (
        len(ours),
        sorted(set(loaded) - ours),
    )
