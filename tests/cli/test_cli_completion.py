"""What the shell is told when a user presses tab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_models import every_command, run
from click.shell_completion import ShellComplete

from respike.cli import main


def completed(*typed: str) -> list[str]:
    """What may stand for the last word."""
    *before, last = typed
    found = ShellComplete(main, {}, "respike", "_RESPIKE_COMPLETE").get_completions(before, last)
    return [item.value for item in found if item.type == "plain"]


def files_too(*typed: str) -> bool:
    *before, last = typed
    found = ShellComplete(main, {}, "respike", "_RESPIKE_COMPLETE").get_completions(before, last)
    return any(item.type == "file" for item in found)


def test_commands_options_and_choices() -> None:
    assert completed("") == every_command()
    assert completed("ev") == ["evaluate"]
    assert completed("convert", "mnist_cnn", "--thr") == ["--threshold"]
    assert completed("convert", "mnist_cnn", "--threshold", "m") == ["mse", "max"]
    assert completed("convert", "-T", "a") == ["auto"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]
    assert completed("inspect", "--verify", "--in") == ["--input"]


def test_models_and_data_sets_are_named_beside_files() -> None:
    assert completed("convert", "mnist") == ["mnist_cnn", "mnist_events", "mnist_mlp"]
    assert completed("evaluate", "net.respike", "--ann", "fashion_r") == ["fashion_resnet"]
    assert completed("convert", "t") == ["torchvision:"]
    assert "torchvision:resnet18" in completed("convert", "torchvision:resnet1")
    files = ["folder:", "imagenet:", "webdataset:"]
    assert completed("evaluate", "--data", "") == ["mnist", "fashion_mnist", "mnist_events", *files]
    assert "torchvision:resnet50:IMAGENET1K_V2" in completed("convert", "torchvision:resnet50:IMAGENET1K")
    assert completed("evaluate", "--calibration", "r") == ["random:"]
    assert files_too("convert", "mn") and files_too("evaluate", "--data", "")
    assert files_too("convert", "mnist_cnn", "--config", "") and not files_too("convert", "--neuron", "")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "#compdef respike"), ("fish", "")])
def test_the_script_is_for_the_shell(shell: str, word: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0 and word in result.stdout
    assert f"_RESPIKE_COMPLETE={shell}_complete" in result.stdout and "respike" in result.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.slow
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "respike"
    program.write_text(f"#!{sys.executable}\nfrom respike.cli import main\nmain(prog_name='respike')\n")
    program.chmod(0o755)
    (tmp_path / "script").write_text(run("completion", "bash").stdout)
    code = (
        "source ./script; compopt() { :; }; COMP_WORDS=(respike convert torchvision:resnet1); COMP_CWORD=2; "
        '_respike_completion respike; echo "${COMPREPLY[@]}"; echo "$COMP_WORDBREAKS" | grep -c :'
    )
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["torchvision:resnet101 torchvision:resnet152 torchvision:resnet18", "0"]
