"""The base of the neurons whose leaks are given as time constants: Sinabs' family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from . import equations
from .reset_fn import ResetFn
from .spike_fn import SpikeFn, Surrogate
from .spiking import SpikingLayer, as_tensor, positive, short


class TauNeuron(SpikingLayer):
    """Synapse, leaky membrane, spike and reset, with learnable time constants.

    Args:
        taus: Time constants in timesteps, by name (``mem``, ``syn``, ...); None for one that is not there.
            Kept as ``tau_<name>``, or as decay factors ``alpha_<name>`` with ``train_alphas``.
        state_names: States besides ``v_mem`` and, with a ``syn``, ``i_syn``.
        spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, train_alphas, norm_input, record_states, v_init:
            As for ``LIF``.
    """

    def __init__(
        self,
        taus: Mapping[str, float | Tensor | None],
        state_names: Sequence[str] = (),
        *,
        spike_fn: SpikeFn | None,
        reset_fn: ResetFn | None,
        surrogate_grad_fn: Surrogate | None,
        min_v_mem: float | None,
        train_alphas: bool,
        norm_input: bool,
        record_states: bool,
        v_init: float | Tensor,
    ) -> None:
        synapse = ["i_syn"] if taus.get("syn") is not None else []
        super().__init__(["v_mem", *synapse, *state_names], record_states, v_init)
        self.spike_fn = spike_fn
        self.reset_fn = reset_fn
        self.surrogate_grad_fn = surrogate_grad_fn
        self.train_alphas = train_alphas
        self.norm_input = norm_input
        # Sinabs keeps bounds and thresholds as parameters that are not trained.
        self.min_v_mem = None if min_v_mem is None else nn.Parameter(as_tensor(min_v_mem), requires_grad=False)
        for name, value in taus.items():
            tau = None if value is None else positive(f"tau_{name}", value)
            if tau is not None and train_alphas:
                tau = equations.decay(tau)
            held = None if tau is None else nn.Parameter(tau)
            setattr(self, f"{'alpha' if train_alphas else 'tau'}_{name}", held)

    @property
    def alpha_mem_calculated(self) -> Tensor | None:
        """exp(−1/τ_mem); None for a membrane that does not leak."""
        return self.alpha("mem")

    @property
    def alpha_syn_calculated(self) -> Tensor | None:
        """exp(−1/τ_syn); None without synaptic dynamics."""
        return self.alpha("syn")

    def alpha(self, name: str) -> Tensor | None:
        """The decay factor of a time constant; None where there is none."""
        value: Tensor | None = getattr(self, f"alpha_{name}" if self.train_alphas else f"tau_{name}")
        return value if value is None or self.train_alphas else equations.decay(value)

    def charge(self, current: Tensor, state: dict[str, Tensor]) -> Tensor:
        """The potential with a step's current on it; the synapse's new state goes into ``state``."""
        alpha_syn = self.alpha_syn_calculated
        if alpha_syn is not None:
            current = state["i_syn"] = equations.filter_synapse(state["i_syn"], current, alpha_syn)
        return equations.integrate(state["v_mem"], current, self.alpha_mem_calculated, self.norm_input)

    def fire(self, v_mem: Tensor, threshold: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes, and the potential after the reset and the lower bound."""
        spikes = v_mem
        if self.spike_fn is not None and self.reset_fn is not None:
            spikes = self.spike_fn.apply(v_mem, threshold, self.surrogate_grad_fn)  # type: ignore[arg-type]
            v_mem = self.reset_fn(v_mem, spikes, threshold)  # type: ignore[arg-type]
        if self.min_v_mem is not None:
            v_mem = equations.bound_below(v_mem, self.min_v_mem)
        return spikes, v_mem

    def extra_repr(self) -> str:
        wanted = "tau_mem tau_adapt tau_syn alpha_mem alpha_adapt alpha_syn b0 spike_threshold v_leak min_v_mem".split()
        given = {name: getattr(self, name, None) for name in wanted if name not in self.state_names}
        parts = [f"{name}={short(value)}" for name, value in given.items() if isinstance(value, Tensor)]
        if self.spike_fn is not None:
            parts.append(f"spike_fn={getattr(self.spike_fn, '__name__', self.spike_fn)}")
        return ", ".join(parts)


def threshold_parameter(value: float | Tensor | None) -> nn.Parameter | None:
    """A threshold as Sinabs keeps it: a parameter that is not trained; None for a neuron that does not fire."""
    return None if value is None else nn.Parameter(positive("spike_threshold", value), requires_grad=False)
