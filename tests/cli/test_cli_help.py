"""What --help teaches."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from cli_models import every_command, run

import respike
from respike.cli import main
from respike.cli.conversion_options import CONVERSION_NAMES
from respike.convert.options import NAMED, gathered

ROOT = Path(__file__).parent.parent.parent


def test_help_says_where_to_begin() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Start with `respike demo`" in result.output
    listed = result.output.partition("Commands:\n")[2].splitlines()[: len(every_command())]
    assert [line.split()[0] for line in listed] == every_command()
    for command in every_command():
        assert re.search(rf"^  {command} +\w", result.output, re.M)
    assert "..." not in result.output.partition("Commands:")[2].partition("Examples:")[0]


@pytest.mark.parametrize("command", every_command())
def test_each_command_explains_itself(command: str) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0
    assert result.output == run(command, "--help").output
    assert len(result.output.partition("\n\n")[2].strip()) > 60
    for param in main.commands[command].params:
        if isinstance(param, click.Option):
            assert param.help and max(param.opts, key=len) in result.output


@pytest.mark.parametrize("command", [None, *every_command()])
def test_examples_are_commands_that_there_are(command: str | None) -> None:
    shown = run(*([command] if command else []), "--help").output.partition("Example")[2]
    lines = re.findall(r"^ +(?:\w+=\w+ )?respike (.*)$", shown, re.M)
    assert lines or command == "completion"
    for line in lines:
        name, *args = shlex.split(line.partition(" > ")[0])
        assert command in (None, name)
        main.commands[name].make_context(name, args)  # raises what a user would read


def test_options_and_defaults_of_conversion_are_those_of_python() -> None:
    """The values of single options, Percentile.percentile say, are options of their own here."""
    python = {name: p.default for name, p in inspect.signature(respike.from_torch).parameters.items()}
    python = {name: python[name] for name in python.keys() - {"model", "calibration", "progress", "resume"}}
    for command in ("convert", "evaluate"):
        context = main.commands[command].make_context(command, ["mnist_cnn"])
        flat = {name: context.params[name] for name in CONVERSION_NAMES}
        assert gathered(flat) == gathered(python)
    for values in NAMED.values():
        for value in values.values():
            assert {part.name: flat[part.name] for part in fields(value)} == {p.name: p.default for p in fields(value)}
    shown = " ".join(run("convert", "--help").output.split())
    for name in {name for name in CONVERSION_NAMES if flat[name] not in (None, ())}:
        option = f"--{name.replace('_', '-')}"
        assert re.search(rf"{option} .*?\[default: {re.escape(str(flat[name]))}\]", shown)


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert run("--version").output.split()[-1] == version("respike")


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_are_commands_that_there_are(page: Path) -> None:
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    for line in re.findall(r"^(?:\$ |pip install \. && )?respike (.*)$", "\n".join(blocks), re.M):
        name, *args = shlex.split(re.split(r" > | \| | #", line)[0])
        main.commands[name].make_context(name, args)


def test_what_the_page_shows_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"^```toml\n(.*?)^```", page, re.S | re.M)
    (tmp_path / "mnist.toml").write_text(toml, encoding="utf-8")
    parent = main.make_context("respike", ["-"])
    for command in re.findall(r"`respike (\w+) --config mnist.toml`", page):
        context = main.commands[command].make_context(command, ["--config", "mnist.toml"], parent=parent)
        assert context.params["model"] == "mnist_cnn" and context.params["timesteps"] == 8
    runs = re.findall(r"^\$ respike (.*)\n((?:(?!\$ |```).*\n)*)", page, re.M)
    assert len(runs) >= 2
    for typed, shown in runs:
        assert run(*shlex.split(typed)).output == shown
    listed = re.findall(r"^\| `respike (\w+)", page, re.M)
    assert listed == every_command()


def test_the_package_runs_as_the_command() -> None:
    told = subprocess.run([sys.executable, "-m", "respike", "--version"], capture_output=True, text=True, check=True)
    assert "respike, version" in told.stdout
