"""The figure of an evaluation: small differences from the ANN can be told apart beside large ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from respike.figures.accuracy import accuracy_figure


@dataclass
class Judged:
    accuracy: NDArray[np.float64]
    ann_accuracy: float | None
    metric: str = "accuracy"
    agreement: NDArray[np.float64] | None = None
    samples: int = 10_000
    schedule: str = "synchronous"
    ann_macs: int = 1000

    @property
    def timesteps(self) -> int:
        return len(self.accuracy)

    @property
    def synops(self) -> NDArray[np.float64]:
        return np.linspace(100, 2000, self.timesteps)

    @property
    def macs(self) -> NDArray[np.float64]:
        return np.full(self.timesteps, 10.0)


def heights(judged: Judged) -> NDArray[np.float64]:
    """Where the points of the SNN are on the left axis: 0 at its lower end, 1 at its upper end."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = accuracy_figure(judged)
        figure.draw_without_rendering()
    axes = figure.axes[0]
    points = np.asarray(axes.lines[0].get_xydata())
    return axes.transAxes.inverted().transform(axes.transData.transform(points))[:, 1]


def test_a_few_tenths_of_a_point_can_be_told_apart_beside_ninety() -> None:
    found = heights(Judged(np.array([0.098, 0.953, 0.993, 0.996, 0.997]), 0.997))
    assert (np.diff(found) > 0.1).all()
    assert found[0] > 0 and found[-1] < 1


@pytest.mark.parametrize("ann", [0.9, 0.5])
def test_as_good_as_the_ann_and_better_have_their_place(ann: float) -> None:
    found = heights(Judged(np.array([0.5, 0.899, 0.9, 0.9005, 0.92]), ann, agreement=np.full(5, 0.95)))
    assert (np.diff(found) > 0).all()
    assert ((found > 0) & (found < 1)).all()


def test_a_network_that_is_the_ann_has_a_figure() -> None:
    assert len(set(heights(Judged(np.full(4, 0.99), 0.99, agreement=np.ones(4))))) == 1


def test_other_metrics_of_any_size_and_without_a_value() -> None:
    found = heights(Judged(np.array([-3.2, 0.9, np.nan, 0.98, 0.984]), 0.985, "R2"))
    assert (np.diff(found[[0, 1, 3, 4]]) > 0.05).all()
    assert np.isnan(heights(Judged(np.full(2, np.nan), 0.985, "R2"))).all()
    assert (np.diff(heights(Judged(np.array([5e6, 4e5, 1e4]), 1e3, "loss"))) < -0.05).all()


def test_without_an_ann_it_is_the_accuracy_itself() -> None:
    axes = accuracy_figure(Judged(np.array([0.25, 0.75]), None)).axes[0]
    assert np.allclose(np.asarray(axes.lines[0].get_ydata()), [25, 75])
    assert axes.get_ylabel() == "accuracy (%)"


def test_what_chance_does_among_few_samples_is_not_enlarged() -> None:
    accuracy = np.array([0.6, 0.75, 0.94, 0.949, 0.95])
    many, few = (heights(Judged(accuracy, 0.95, samples=samples)) for samples in (1_000_000, 1000))
    assert many[4] - many[3] > 2 * (few[4] - few[3])
