"""What goes to users beside the code: one version, complete metadata, a workflow, linters before commits, packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml

import respike

ROOT = Path(__file__).parents[1]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def toml() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def parsed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def steps_of_ci() -> list[str]:
    return (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_version_is_the_same_everywhere() -> None:
    version = toml()["project"]["version"]
    assert respike.__version__ == version, "installed from another version: run pip install -e . again"
    assert parsed("CITATION.cff")["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == version


def test_no_file_of_the_package_repeats_the_version() -> None:
    version = toml()["project"]["version"]
    sources = [*(ROOT / "respike").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), ROOT / "docs" / "conf.py"]
    assert len(sources) > 100
    assert [file for file in sources if f'"{version}"' in file.read_text(encoding="utf-8")] == []


def test_a_folder_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert not hasattr(respike, "__version__")


def test_the_citation_says_what_the_metadata_say() -> None:
    project, citation = toml()["project"], parsed("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software" and citation["message"]
    assert citation["title"] == project["name"]
    assert citation["abstract"] == project["description"]
    assert citation["keywords"] == project["keywords"]
    assert citation["authors"] == project["authors"]
    assert citation["license"] == project["license"].split(" AND ")[0]


def test_the_metadata_are_complete() -> None:
    project = toml()["project"]
    assert {"description", "readme", "license", "authors", "keywords", "dependencies"} <= set(project)
    assert [file for file in project["license-files"] if not (ROOT / file).is_file()] == []
    named = [found[1] for c in project["classifiers"] if (found := re.fullmatch(r".* :: Python :: (3\.\d+)", c))]
    assert named == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"
    assert not any(c.startswith("License ::") for c in project["classifiers"]), "an index refuses both kinds of licence"


def test_the_workflow_runs_what_ci_runs_and_nothing_else() -> None:
    workflow = parsed(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    assert [system.partition("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == PYTHONS
    assert [(step["run"], step["shell"]) for step in job["steps"] if "run" in step] == [(".ci/run", "bash")]
    actions = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert actions == ["actions/checkout", "actions/setup-python"]
    assert workflow["permissions"] == {"contents": "read"}


def test_linters_before_a_commit_are_those_of_ci() -> None:
    (repo,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    entries = [hook["entry"] for hook in repo["hooks"]]
    assert entries == [line for line in steps_of_ci() if line.startswith(("ruff", "mypy"))]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in repo["hooks"])


def test_scripts_of_bash_have_line_endings_that_bash_reads() -> None:
    assert b"\r" not in (ROOT / ".ci" / "run").read_bytes()
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of this folder and the wheel that is built from it, as ``python -m build`` makes them, offline."""
    folder = tmp_path_factory.mktemp("built")
    build("sdist", ROOT, folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def build(kind: str, source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_sdist_holds_all_that_git_tracks(built: tuple[Path, Path]) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a git checkout")
    with tarfile.open(built[0]) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers()}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    assert tracked - held == set()
    assert held - tracked <= {"PKG-INFO"}


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = archive.namelist()
        (place,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(place).decode())
    assert {name.partition("/")[0] for name in names} == {"respike", place.partition("/")[0]}
    package = {str(file.relative_to(ROOT).as_posix()) for file in (ROOT / "respike").rglob("*") if file.is_file()}
    assert {name for name in package if "__pycache__" not in name} == {n for n in names if n.startswith("respike/")}
    assert metadata["Version"] == respike.__version__
    assert metadata["Description-Content-Type"] == "text/markdown" and "respike demo" in str(metadata.get_payload())


INSTALLED = """
import sys, respike
assert respike.__file__.startswith(sys.argv[1]), respike.__file__
respike.models.load("mnist_cnn")
respike.models.datasets.calibration()
strangers = [n for n, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(sys.argv[2])]
assert not strangers, strangers
from respike.cli import main
main(["--help"])
"""


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(built: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(built[1]) as archive:  # of pure Python, so that unpacking is installing
        archive.extractall(tmp_path / "site")
    start = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", start + INSTALLED, str(tmp_path / "site"), str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "respike demo" in done.stdout
