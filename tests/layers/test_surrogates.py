"""Surrogate gradients against their formulas, written in numpy, and against their integrals."""

import numpy as np
import pytest
import torch

from respike.layers import (
    ATan,
    FastSigmoid,
    Gaussian,
    Heaviside,
    LeakySpikeOperator,
    MaxSpike,
    MultiGaussian,
    MultiSpike,
    PeriodicExponential,
    Sigmoid,
    SingleExponential,
    SingleSpike,
    SparseFastSigmoid,
    SpikeRateEscape,
    StraightThroughEstimator,
    StrictSpike,
    Triangular,
)

V_MEM = np.linspace(-1.5, 4.5, 49)  # multiples of 1/8, with every multiple of θ and every edge among them
SPIKE_FNS = [SingleSpike, StrictSpike, MultiSpike, MaxSpike(2)]


def normal(x, mean, deviation):
    return np.exp(-0.5 * ((x - mean) / deviation) ** 2) / np.sqrt(2 * np.pi * deviation**2)


def periodic(v, theta, width):
    """Below θ the distance to it, above it twice the distance to the nearest multiple."""
    distance = np.where(v < theta, theta - v, 2 * np.abs(v - theta * np.rint(v / theta)))
    return np.exp(-distance / width)


def lobed(x, mean, deviation, h, s):
    lobes = normal(x, deviation, s * deviation) + normal(x, -deviation, s * deviation)
    return (1 + h) * normal(x, mean, deviation) - h * lobes


SURROGATES = [
    (Heaviside(), lambda v, theta: np.where(v >= theta - 1, 1 / theta, 0)),
    (Heaviside(window=0.25), lambda v, theta: np.where(v >= theta - 0.25, 1 / theta, 0)),
    (Gaussian(), lambda v, theta: normal(v, theta, 0.5)),
    (Gaussian(mu=0.25, sigma=0.75, grad_scale=3.0), lambda v, theta: 3 * normal(v, theta + 0.25, 0.75)),
    (MultiGaussian(), lambda v, theta: lobed(v - theta, 0, 0.5, 0.15, 6)),
    (MultiGaussian(0.1, 0.25, 0.5, 2.0, 3.0), lambda v, theta: 3 * lobed(v - theta, 0.1, 0.25, 0.5, 2)),
    (SingleExponential(), lambda v, theta: np.exp(-2 * np.abs(v / theta - 1)) * 2 / theta),
    (SingleExponential(0.2, 3.0), lambda v, theta: np.exp(-5 * np.abs(v / theta - 1)) * 15 / theta),
    (PeriodicExponential(), lambda v, theta: periodic(v, theta, 0.5)),
    (PeriodicExponential(0.2, 3.0), lambda v, theta: 3 * periodic(v, theta, 0.2)),
    (ATan(), lambda v, theta: 1 / (1 + (np.pi * (v - theta)) ** 2)),
    (ATan(0.5), lambda v, theta: 0.25 / (1 + (np.pi / 4 * (v - theta)) ** 2)),
    (FastSigmoid(), lambda v, theta: (1 + 25 * np.abs(v - theta)) ** -2.0),
    (SparseFastSigmoid(2.0, 0.5), lambda v, theta: (v > theta + 0.5) * (1 + 2 * np.abs(v - theta)) ** -2.0),
    (Sigmoid(), lambda v, theta: 25 / (2 * np.cosh(12.5 * (v - theta))) ** 2),
    (Triangular(), lambda v, theta: np.where(np.abs(v - theta) < 1, 1 - np.abs(v - theta), 0)),
    (Triangular(0.25), lambda v, theta: np.clip(0.25 - np.abs(v - theta), 0, None)),
    (StraightThroughEstimator(), lambda v, theta: np.ones_like(v + theta)),
    (SpikeRateEscape(), lambda v, theta: 25 * np.exp(-np.abs(v - theta))),
    (SpikeRateEscape(2.0, 0.5), lambda v, theta: np.exp(-2 * np.abs(v - theta)) / 2),
    (LeakySpikeOperator(), lambda v, theta: np.where(v > theta, 1, 0.1)),
    (LeakySpikeOperator(0.0), lambda v, theta: np.where(v > theta, 1, 0)),
]
every_surrogate = pytest.mark.parametrize(("surrogate", "formula"), SURROGATES, ids=[str(s) for s, _ in SURROGATES])


@every_surrogate
@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_a_surrogate_is_its_formula(surrogate, formula, theta):
    values = surrogate(torch.from_numpy(V_MEM), torch.tensor(theta, dtype=torch.float64))
    np.testing.assert_allclose(values, formula(V_MEM, theta), rtol=1e-12, atol=1e-300)


@every_surrogate
@pytest.mark.parametrize("spike_fn", SPIKE_FNS, ids=str)
def test_the_backward_pass_is_the_incoming_gradient_times_the_surrogate(surrogate, formula, spike_fn):
    theta = np.array([0.5, 1.0, 2.0])
    incoming = np.random.default_rng(0).normal(size=(len(V_MEM), 3))
    v_mem = torch.from_numpy(np.repeat(V_MEM[:, None], 3, 1)).requires_grad_()
    spikes = spike_fn.apply(v_mem, torch.from_numpy(theta), surrogate)
    spikes.backward(torch.from_numpy(incoming))
    np.testing.assert_allclose(v_mem.grad, incoming * formula(V_MEM[:, None], theta), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("surrogate", "area"),
    [
        (Gaussian(), 1.0),
        (Gaussian(mu=0.25, sigma=0.75, grad_scale=3.0), 3.0),
        (MultiGaussian(), 1 - 0.15),
        (SingleExponential(), 2.0),  # Sinabs leaves out the 1/2 of a Laplace density
        (SingleExponential(0.2, 3.0), 6.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_a_surrogate_has_its_area(surrogate, area, theta):
    step = 1e-3
    v_mem = theta + step * torch.arange(-60_000, 60_001, dtype=torch.float64)
    integral = torch.trapezoid(surrogate(v_mem, torch.tensor(theta, dtype=torch.float64)), dx=step)
    # The kink at θ of a scale·exp(−|x|/w)/w costs the trapezoid step²/6w² of its height, w >= 0.1 here.
    assert integral.item() == pytest.approx(area, abs=area * step**2 / (6 * 0.1**2))


@pytest.mark.parametrize(
    ("spike_fn", "expected"),
    [
        (SingleSpike, [0, 0, 0, 1, 1, 1, 1]),
        (StrictSpike, [0, 0, 0, 0, 1, 1, 1]),
        (MultiSpike, [0, 0, 0, 1, 1, 2, 7]),
        (MaxSpike(2), [0, 0, 0, 1, 1, 2, 2]),
        (MaxSpike(), [0, 0, 0, 1, 1, 2, 7]),
    ],
    ids=str,
)
@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_spikes_count_the_thresholds_a_potential_holds(spike_fn, expected, theta):
    v_mem = theta * torch.tensor([-3.0, 0.0, 1 - 2**-20, 1.0, 2 - 2**-20, 2.0, 7.5])
    assert spike_fn.apply(v_mem, torch.tensor(theta), Heaviside()).tolist() == expected


def test_the_gradient_of_a_strict_spike_reaches_each_threshold():
    v_mem = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3)
    theta = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    StrictSpike.apply(v_mem, theta, ATan()).sum().backward()
    assert torch.allclose(theta.grad, -ATan()(v_mem, theta).sum(0))


def test_a_sigmoid_has_a_gradient_of_zero_far_below_the_threshold():
    assert Sigmoid()(torch.tensor([-1e6, 1e6]), torch.tensor(1.0)).tolist() == [0.0, 0.0]
