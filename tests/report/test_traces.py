"""Traces hold what the neuron did; the figures that draw them, lines and rasters."""

from __future__ import annotations

import pytest
import torch

from respike import layers
from respike.layers import ALIF, IAF, ExpLeak, Leaky, TextbookLIF
from respike.layers.curves import stimuli
from respike.report import NEURONS, line_figure, raster_figure, save, trace, trace_figure


def test_a_trace_is_the_textbooks_simulation() -> None:
    run = trace(TextbookLIF(20.0, 10.0), stimuli.step(100, 11.0))
    assert run.spike_steps == [47, 94]
    assert run.current.tolist() == [11.0] * 100 and run.threshold is not None
    assert run.threshold.tolist() == [10.0] * 100
    expected, v = [0.0], 0.0
    for _ in range(100):
        v += (11.0 - v) / 20
        v = 0.0 if v > 10 else v
        expected.append(v)
    torch.testing.assert_close(run.potential, torch.tensor(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NEURONS)
def test_a_trace_sends_what_the_layer_sends_and_leaves_it_alone(name: str) -> None:
    neuron, current = NEURONS[name][1](5.0, 0.8), 0.6 * torch.rand(1, 50, 1)
    neuron(torch.ones(3, 4, 2))
    before = {state: getattr(neuron, state).clone() for state in neuron.state_names}
    run = trace(neuron, current.flatten())
    for state, value in before.items():
        assert torch.equal(getattr(neuron, state), value)
    assert not neuron.record_states
    neuron.reset_states()
    torch.testing.assert_close(run.spikes, neuron(current).detach().flatten())
    assert run.potential[0] == neuron.v_init and len(run.potential) == 51


def test_what_fires_was_above_the_threshold_of_its_own_step() -> None:
    adaptive = ALIF(10.0, 40.0, adapt_scale=6.0, norm_input=False, reset_fn=layers.NoReset(), spike_threshold=0.9)
    run = trace(adaptive, stimuli.step(80, 0.4))
    assert run.threshold is not None and run.threshold[0] == pytest.approx(0.9)
    assert torch.equal(run.spikes > 0, run.potential[1:] >= run.threshold)
    assert len(run.threshold.unique()) > 10


def test_a_neuron_that_does_not_fire_has_no_threshold_and_no_spikes() -> None:
    run = trace(ExpLeak(5.0), stimuli.step(10, 1.0))
    assert run.threshold is None and run.spike_steps == [] and run.potential[-1] > 1


def test_a_trace_is_of_one_neuron() -> None:
    with pytest.raises(ValueError, match=r"one neuron.*\(1, 5, 2\)"):
        trace(IAF(), torch.ones(1, 5, 2))


def test_a_potential_reset_in_the_step_that_fires_is_drawn_up_to_the_threshold() -> None:
    runs = {"at once": TextbookLIF(20.0, 10.0), "later": Leaky(0.9, threshold=10.0), "never": ExpLeak(5.0)}
    figure = trace_figure(
        {name: trace(neuron, stimuli.step(100, 11.0)) for name, neuron in runs.items()}, title="three"
    )
    assert len(figure.axes) == 9
    drawn = [axes.lines[0].get_ydata().max() for axes in figure.axes[3:6]]
    assert drawn[0] == 10.0 and drawn[1] > 10.0 and drawn[2] > 10.0


def test_time_is_drawn_in_the_unit_that_is_asked_for() -> None:
    figure = trace_figure(trace(IAF(), stimuli.step(40, 0.1)), dt=0.5, time="time (ms)")
    assert figure.axes[1].lines[0].get_xdata().max() == 20.0
    assert figure.axes[2].get_xlabel() == "time (ms)"


def test_a_raster_has_a_stroke_for_each_spike_of_either_sign() -> None:
    spikes = torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    figure = raster_figure({"some": spikes, "none": torch.zeros(3, 2)}, title="two")
    up, down = figure.axes[0].collections
    assert [segment[0][0] for segment in up.get_segments()] == [1, 3, 3]
    assert [segment[0][0] for segment in down.get_segments()] == [2]
    assert not any(lines.get_segments() for lines in figure.axes[1].collections)


def test_lines_and_formulas_share_one_legend(tmp_path) -> None:
    x = torch.arange(5)
    figure = line_figure(x, {"a": x, "b": 2 * x}, [x, 2 * x], formula="n·x", title="lines")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "b", "n·x"]
    save(figure, tmp_path / "small.png", dpi=50)
    save(figure, tmp_path / "large.png")
    assert (tmp_path / "small.png").stat().st_size < (tmp_path / "large.png").stat().st_size
