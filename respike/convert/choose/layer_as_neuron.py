"""Which neuron models can stand in for a ReLU, and as which of the codes that calibration knows.

What is asked of a model is a rate that grows in proportion to a constant current. Soft-reset neurons have it: what
they have got is what they have sent, but for a rest that stays below a spike. A leak takes (1 − α)·v̄ from it, which
leak compensation gives back. Thresholds, the potential to start from and constant currents are calibration's to choose,
so that what is left of a model is its leak and how many spikes it sends in a step.
"""

from __future__ import annotations

import math

import torch

from ... import layers
from ...layers import MaxSpike, MembraneSubtract, SingleSpike, SpikingLayer
from ...layers.curves.passive import share_left
from ..errors import ConversionError
from ..options import NeuronOptions

FEEDBACK = "its spikes feed back into its own current, so its rate does not follow the current alone"
SYNAPSE = "its synapse hands a current on over many steps, so T steps deliver only a part of it"
HARD = "a reset to a fixed potential loses what was above the threshold, so its rate grows in stairs"


def stand_in(layer: SpikingLayer) -> NeuronOptions:
    """The code of neurons like this one.

    A soft reset that comes a step late, as in snnTorch, is one in time for the threshold θ/β: with v' = v + d and
    d = θ·(1/β − 1), v ← β·v + I − θ·s is v' ← β·(v' − (θ/β)·s) + I + (1 − β)·d, which fires at v' > θ + d = θ/β.

    Args:
        layer: A neuron of ``respike.layers``; its leak and its spikes a step count, its threshold does not.

    Raises:
        ConversionError: its curve cannot stand in for a ReLU, with the reason.
    """
    name = type(layer).__name__
    reason = _refusal(layer)
    if reason is not None:
        raise ConversionError(f"{name} cannot stand in for a ReLU: {reason}")
    left = layer.alpha_mem_calculated if isinstance(layer, layers.LIF) else share_left(layer)
    left = torch.ones(1) if left is None else left
    if left.numel() > 1 and bool((left != left.flatten()[0]).any()):
        raise ConversionError(f"{name}: give one time constant for all neurons, not one for each")
    alpha, most = float(left.detach().flatten()[0]), _most(layer)
    if alpha >= 1:
        return NeuronOptions("iaf", most)
    if alpha <= 0:
        raise ConversionError(
            f"{name} keeps nothing from one timestep to the next, so it cannot count: raise its τ or β"
        )
    return NeuronOptions("lif", most, tau_mem=-1 / math.log(alpha))


def _refusal(layer: SpikingLayer) -> str | None:
    """Why a model's curve cannot stand in for a ReLU; None if it can."""
    if isinstance(layer, (layers.RLeaky, layers.RSynaptic)) or hasattr(layer, "rec_connect"):
        return FEEDBACK
    if isinstance(layer, layers.ExpLeak):
        return "it does not fire"
    if isinstance(layer, layers.ALIF):
        return "its threshold rises with its rate, so the curve bends"
    if isinstance(layer, (layers.Synaptic, layers.Alpha)) or getattr(layer, "alpha_syn_calculated", None) is not None:
        return SYNAPSE
    if isinstance(layer, layers.LIF):
        return _sinabs(layer)
    if isinstance(layer, layers.TextbookLIF):
        if layer.reset_mechanism != "subtract":
            return _reset(layer.reset_mechanism, "reset_mechanism='subtract'")
        return "while it is refractory its current is lost; give t_ref=0" if layer.refractory_steps else None
    if isinstance(layer, layers.BetaNeuron):
        if layer.reset_mechanism != "subtract":
            return _reset(layer.reset_mechanism, "reset_mechanism='subtract'")
        if layer.inhibition:
            return "of neurons that inhibit each other only one fires; give inhibition=False"
        return "state_quant rounds its potential; leave it out" if layer.state_quant is not None else None
    return "it is none of the models of respike.layers"


def _sinabs(layer: layers.LIF) -> str | None:
    if not isinstance(layer.reset_fn, MembraneSubtract) or layer.reset_fn.subtract_value is not None:
        return _reset(layer.reset_fn, "reset_fn=MembraneSubtract()")
    if layer.min_v_mem is not None:
        return "its floor forgets negative current; give min_v_mem=None"
    return (
        None if _most(layer) else "it may send any number of spikes in a step; give spike_fn=SingleSpike or MaxSpike(n)"
    )


def _reset(reset: object, instead: str) -> str:
    if reset == "none" or isinstance(reset, layers.NoReset):
        return f"without a reset it fires in every step once it is above its threshold; give {instead}"
    return f"{HARD}; give {instead}"


def _most(layer: SpikingLayer) -> int:
    """Most spikes in a step; 0 for no limit."""
    fire = layer.spike_fn if isinstance(layer, layers.LIF) else SingleSpike
    if isinstance(fire, MaxSpike):
        return fire.max_num_spikes_per_bin or 0
    return 1 if fire is SingleSpike else 0
