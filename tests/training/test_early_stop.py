"""When training ends before its last step, by what the samples held back say of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

import respike
from respike.training import TrainingOptions, trainer, tune
from respike.training.finetune import Tuned


@pytest.fixture
def told() -> list[str]:
    return []


def tuned(losses: Sequence[float], told: list[str], monkeypatch: pytest.MonkeyPatch) -> Tuned:
    """A network after 20 steps at most, each of which is judged, with these losses; the first is its own."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4)), torch.randn(100, 8)
    snn = respike.from_torch(model, x, 1, correction="none")
    left = iter(losses)
    monkeypatch.setattr(trainer.Trainer, "judged", lambda self: trainer.Judgement(next(left), None))
    made = tune(snn, x, model, TrainingOptions(20, 1e-3, 16, 0.0, 12, 0), progress=told.append)
    assert next(left, None) is None  # as many as are told
    return made


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
def test_it_ends_when_judgements_are_no_better_than_those_before(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuned([1.0, 3.0, 2.0, *[2.0] * 10], told, monkeypatch)
    assert "fine-tuning ended after 12 steps, as 10 judgements brought nothing, " in "\n".join(told)
    assert made.after == made.before


def test_it_goes_on_while_it_mends_what_the_first_steps_made_worse(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the first network's loss for 19 judgements, each better than the one before, and below it in the end."""
    made = tuned([1.0, *(3.0 - 0.1 * k for k in range(19)), 0.5], told, monkeypatch)
    assert (made.before.loss, made.after.loss) == (1.0, 0.5)
