"""``torchvision:NAME:WEIGHTS``, with weights in the place where torchvision looks for them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision import models

from respike import sources
from respike.pretrained import named_weights, torchvision_models, torchvision_weights
from respike.source_names import SourceError

NAME = "shufflenet_v2_x0_5"
WEIGHTS = models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the weights of ``NAME`` belong."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / WEIGHTS.url.rpartition("/")[2]


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "DEFAULT"])
def test_a_network_has_the_weights_that_its_name_says(place: Path, weights: str) -> None:
    torch.manual_seed(7)
    state = models.get_model(NAME).state_dict()
    torch.save(state, place)
    chance = torch.get_rng_state()
    model = sources.find_model(f"torchvision:{NAME}:{weights}")
    assert torch.equal(torch.get_rng_state(), chance) and not model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    bare = sources.find_model(f"torchvision:{NAME}").state_dict()
    assert not torch.equal(bare["fc.weight"], state["fc.weight"])
    torch.save(state, place.parent / "own.pt")
    own = sources.find_model(f"torchvision:{NAME}", place.parent / "own.pt")
    assert torch.equal(own.state_dict()["fc.weight"], state["fc.weight"])


def test_every_network_has_weights_with_transforms_and_names() -> None:
    """So that ``reading`` needs no exceptions, and there is a name for each of the outputs, or none."""
    for name in torchvision_models():
        for weights in torchvision_weights(name):
            found = named_weights(f"torchvision:{name}:{weights}")
            made = found.transforms()
            assert made.crop_size and made.resize_size and made.interpolation and made.mean and made.std
            assert found.meta["categories"] is None or len(found.meta["categories"]) == 1000


@pytest.mark.parametrize(
    "name", ["mnist_cnn", "net.respike", "torchvision:resnet18", "torchvision:nothing:DEFAULT", ""]
)
def test_other_names_name_no_weights(name: str) -> None:
    assert named_weights(name) is None


def test_unknown_weights_are_told_with_those_that_there_are(place: Path) -> None:
    with pytest.raises(SourceError) as found:
        sources.find_model("torchvision:resnet50:IMAGENET1K_V3")
    assert "did you mean 'IMAGENET1K_V" in str(found.value)
    assert "(there are IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT)" in str(found.value)
    with pytest.raises(SourceError, match="torchvision has no model 'resnet81'"):
        sources.find_model("torchvision:resnet81:DEFAULT")
    with pytest.raises(SourceError, match="names its weights; omit --weights"):
        sources.find_model(f"torchvision:{NAME}:DEFAULT", place)


@pytest.mark.parametrize(
    "error", [URLError("no route"), OSError(28, "No space left on device"), RuntimeError("invalid hash value")]
)
def test_a_download_that_fails_says_what_to_put_where(
    place: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(url: str, *args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(SourceError) as found:
        sources.find_model(f"torchvision:{NAME}:DEFAULT")
    message = str(found.value)
    assert message.startswith(f"cannot download {WEIGHTS!r}: ") and "<" not in message.partition(":")[2]
    assert WEIGHTS.url in message and message.endswith(f"put it at {place}")
    assert not place.exists() and capsys.readouterr().out == ""  # with --json, stdout is for JSON alone


def test_a_download_is_checked_and_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hash in its name, as torchvision does it; then it is not asked for again."""
    asked = []

    def download(url: str, to: str, prefix: str | None, progress: bool) -> None:
        asked.append((url, prefix))
        torch.save(models.get_model(NAME).state_dict(), to)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        sources.find_model(f"torchvision:{NAME}:DEFAULT")
    assert asked == [(WEIGHTS.url, place.stem.rpartition("-")[2])]


class Explode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["evil", "old evil", "torn", "other"])
def test_a_file_that_is_no_such_weights_is_refused_and_never_run(place: Path, kind: str) -> None:
    exploded = place.parent / "exploded"
    if kind == "torn":
        place.write_bytes(b"PK torn")
    elif kind == "old evil":
        place.write_bytes(pickle.dumps(Explode(exploded)))
    else:
        torch.save({"fc.weight": Explode(exploded)} if kind == "evil" else {"fc.weight": torch.zeros(2)}, place)
    with pytest.raises(SourceError) as found:
        sources.find_model(f"torchvision:{NAME}:DEFAULT")
    assert str(place) in str(found.value) and not exploded.exists()
