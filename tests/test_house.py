"""The house rules of the package: order of the stages, small files, names, docstrings, and what the wheel holds."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deepcoder_hf

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "deepcoder_hf"
MODULES = sorted(PACKAGE.rglob("*.py"))

ORDER: tuple[tuple[str, ...], ...] = (
    ("errors", "heap"),
    ("config", "trajectory"),
    ("readers",),
    ("spans",),
    ("rendering",),
    ("tokens",),
    ("filters",),
    ("fingerprint",),
    ("dataset",),
    ("audit", "export"),
    ("training",),
    ("view",),
    ("settings",),
    ("stages",),
    ("shards", "streaming"),
    ("run",),
    ("pipeline",),
    ("publish", "cluster"),
    ("cli",),
    ("__main__",),
)
"""Parts of the package from first to last: each may import those before it."""
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

LATER: dict[tuple[str, str], str] = {}
"""Imports that go against the order: (module, imported module) -> why."""

MAX_LINES = 300
SOURCES = sorted(path for tree in ("deepcoder_hf", "tests", "benchmarks") for path in (CHECKOUT / tree).rglob("*.py"))
LONGER: dict[str, str] = {}
"""Files of more than 300 lines -> why."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[str]:
    """Modules of the package that a module imports, at its top or in a function; those for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("deepcoder_hf"):
            for alias in node.names:
                whole = PACKAGE.parent / Path(*node.module.split("."), f"{alias.name}.py")
                folder = PACKAGE.parent / Path(*node.module.split("."), alias.name)
                yield f"{node.module}.{alias.name}" if whole.exists() or folder.is_dir() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("deepcoder_hf"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_stage_imports_earlier_stages_only(path: Path) -> None:
    module = name_of(path)
    part = part_of(module)
    if not part:
        return  # the package itself names everything, lazily
    assert part in RANK, f"{part}: its place in the order is not known"
    for imported in imports(path):
        other = part_of(imported)
        if other in ("", part) or imported.endswith(".types") or (module, imported) in LATER:
            continue
        assert RANK[other] < RANK[part], f"{module} imports {imported}, which comes later"


def test_recorded_exceptions_are_still_needed() -> None:
    found = {(name_of(path), imported) for path in MODULES for imported in imports(path)}
    assert set(LATER) <= found
    assert all(len((CHECKOUT / name).read_text().splitlines()) > MAX_LINES for name in LONGER)


def test_no_import_is_relative() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{name_of(path)}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    name = str(path.relative_to(CHECKOUT))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES or name in LONGER


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_named_for_what_it_is_and_says_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(CHECKOUT))
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "misc")
    if text.strip():
        first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
        assert len(first.split()) >= 3, f"{name}: {first!r}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_is_longer_than_sixty_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            doc = node.body[0]
            n_doc = (doc.end_lineno or 0) - doc.lineno + 1 if ast.get_docstring(node) else 0
            assert node.end_lineno - node.lineno + 1 - n_doc <= 60, f"{name_of(path)}.{node.name}"


@pytest.mark.parametrize("name", deepcoder_hf.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(deepcoder_hf, name)
    assert name in dir(deepcoder_hf)
    if callable(value):
        assert (value.__doc__ or "").strip()
        assert value.__doc__ != dict.__doc__
    if isinstance(value, type):
        methods = [m for key, m in vars(value).items() if callable(m) and not key.startswith("_")]
        assert all(m.__doc__ for m in methods if getattr(m, "__module__", "").startswith("deepcoder_hf"))


def test_public_functions_and_classes_of_every_module_are_documented() -> None:
    missing = [
        f"{name_of(path)}.{node.name}"
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def test_importing_the_package_is_cheap_and_an_unknown_name_is_explained() -> None:
    code = "import sys, deepcoder_hf; print([m for m in sys.modules if m.startswith('deepcoder_hf.') or m == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match=r"public names: .*TrajectoryProcessor"):
        _ = deepcoder_hf.TrajectoryProcesor


def test_the_package_and_its_data_name_no_path_of_this_machine() -> None:
    machine = re.compile(r"/(?:home|root|Users|work|tmp)/\w")
    for path in PACKAGE.rglob("*"):
        if path.suffix in (".py", ".yaml", ".jsonl", ".md", ".json"):
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".jsonl":  # observations of the samples may show where their code ran
                text = text.replace("/tmp/", "")
            assert machine.search(text) is None, f"{path}: {machine.search(text)}"


def test_the_core_does_no_input_and_output_and_logs_nothing() -> None:
    core = [*(PACKAGE / "filters").glob("*.py"), PACKAGE / "tokens" / "align.py", PACKAGE / "tokens" / "masks.py"]
    for path in core:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bopen\(|logging|print\(|environ|import (?:os|sys|pathlib)\b", text), path


def test_the_package_is_typed_and_its_version_is_the_projects() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert importlib.metadata.version("deepcoder-hf") == deepcoder_hf.__version__


def build_wheel(folder: Path) -> Path:
    """Build from a copy, so that no build folder appears in the checkout."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((CHECKOUT / name).read_bytes())
    for tree in ("deepcoder_hf", "builders", "tests", "benchmarks", "configs"):
        for path in (CHECKOUT / tree).rglob("*"):
            if path.is_file() and not re.search(r"/(__pycache__|\.)", str(path)):
                target = source / path.relative_to(CHECKOUT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder), str(source)]
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data_alone_and_works_without_the_checkout(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {
        "deepcoder_hf",
        f"deepcoder_hf-{deepcoder_hf.__version__}.dist-info",
    }
    wanted = [path for path in PACKAGE.rglob("*") if path.is_file() and not re.search(r"/(__pycache__|\.)", str(path))]
    assert {str(path.relative_to(CHECKOUT)) for path in wanted} <= names
    assert {"deepcoder_hf/py.typed", "deepcoder_hf/recipes/qwen3.yaml"} <= names
    assert any(name.startswith("deepcoder_hf/samples/") for name in names)
    assert any(name.startswith("deepcoder_hf/spans/patterns/") for name in names)

    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    installed = subprocess.run(pip, capture_output=True, text=True, timeout=1200)
    assert installed.returncode == 0, installed.stderr[-3000:]
    outside = tmp_path / "outside"
    outside.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HF_", "DEEPCODER"))}
    env |= {"HF_HUB_OFFLINE": "1", "HOME": str(outside), "XDG_CACHE_HOME": str(outside / "cache")}

    def command(*words: str) -> str:
        program = str(home / "bin" / "deepcoder-hf")
        done = subprocess.run([program, *words], cwd=outside, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    absent = (
        "import importlib.util as u; print([n for n in ('torch', 'fastokens', 'builders', 'tests') if u.find_spec(n)])"
    )
    python = [str(home / "bin" / "python"), "-c", absent]
    found = subprocess.run(python, cwd=outside, env=env, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert command("--version") == f"deepcoder-hf, version {deepcoder_hf.__version__}\n"
    assert "32 read = 32 kept" in command("demo")
    samples = subprocess.run(
        [str(home / "bin" / "python"), "-c", "import deepcoder_hf; print(deepcoder_hf.__path__[0] + '/samples')"],
        cwd=outside, env=env, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert samples.startswith(str(home))
    report = json.loads(command("process", "-i", samples, "-o", "sad.parquet", "--config", "qwen3", "--json"))
    assert report["n_read"] == 32
    assert report["engine"].startswith("reference")
    assert f"{report['n_rows']} of {report['n_rows']} rows are valid" in command("validate", "-i", "sad.parquet")
    assert "<think>" in command("inspect", "sad.parquet")
