"""The base of the neurons whose leaks are given as time constants: Sinabs' family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from . import equations
from .arguments import arguments
from .constants import finite, positive, short
from .reset_fn import ResetFn, check_reset_fn
from .spike_fn import SpikeFn, Surrogate, check_surrogate, states_read
from .spiking import SpikingLayer


class TauNeuron(SpikingLayer):
    """Synapse, leaky membrane, spike and reset, with learnable time constants.

    Args:
        taus: Time constants in timesteps, by name (``mem``, ``syn``, ...); ``syn`` may be None. Kept as
            ``tau_<name>``, or as decay factors ``alpha_<name>`` with ``train_alphas``.
        state_names: States besides ``v_mem`` and, with a ``syn``, ``i_syn``.
        spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, train_alphas, norm_input, record_states, v_init:
            As for ``LIF``.

    Raises:
        TypeError: a constant that is no number, or something else than a spike, reset or surrogate function.
        ValueError: a time constant that is not positive, or a spike function that reads states of other layers.
    """

    def __init__(
        self,
        taus: Mapping[str, float | Tensor | None],
        state_names: Sequence[str] = (),
        *,
        spike_fn: SpikeFn | None,
        reset_fn: ResetFn | None,
        surrogate_grad_fn: Surrogate | None,
        min_v_mem: float | Tensor | None,
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
        self.min_v_mem = (
            None if min_v_mem is None else nn.Parameter(finite("min_v_mem", min_v_mem), requires_grad=False)
        )
        if spike_fn is not None:
            check_reset_fn(reset_fn)
            if surrogate_grad_fn is not None:  # which training only asks for
                check_surrogate("surrogate_grad_fn", surrogate_grad_fn)
        self.tau_names = tuple(taus)
        for name, value in taus.items():
            tau = None if value is None and name == "syn" else positive(f"tau_{name}", value)
            if tau is not None and train_alphas:
                tau = equations.decay(tau)
            held = None if tau is None else nn.Parameter(tau)
            setattr(self, f"{'alpha' if train_alphas else 'tau'}_{name}", held)

    @property
    def spike_fn(self) -> SpikeFn | None:
        """The spike function; None for a layer that does not fire."""
        return self._spike_fn

    @spike_fn.setter
    def spike_fn(self, spike_fn: SpikeFn | None) -> None:
        self._spike_fn = spike_fn
        self._states_read = () if spike_fn is None else states_read(spike_fn, self.state_names)

    @property
    def does_spike(self) -> bool:
        """Whether the layer's output is spikes, rather than the potential."""
        return self.spike_fn is not None

    @property
    def arg_dict(self) -> dict[str, Any]:
        """The arguments for a new layer that is like this one: ``type(layer)(**layer.arg_dict)``.

        Constants are copies of what they are now; functions and ``rec_connect`` are shared. The arguments that Sinabs
        does not have are left out where they are at their defaults, so that Sinabs' classes take these too.
        """
        return arguments(self, {f"tau_{name}": self.tau(name) for name in self.tau_names} | self._renamed())

    def _renamed(self) -> dict[str, Any]:
        """Arguments that are kept under other names."""
        return {}

    @property
    def alpha_mem_calculated(self) -> Tensor | None:
        """exp(−1/τ_mem), the share of the potential that one timestep leaves over."""
        return self.alpha("mem")

    @property
    def alpha_syn_calculated(self) -> Tensor | None:
        """exp(−1/τ_syn); None without synaptic dynamics."""
        return self.alpha("syn")

    @property
    def tau_mem_calculated(self) -> Tensor | None:
        """The membrane's time constant, −1/ln α where α is trained; None for a membrane that does not leak."""
        return self.tau("mem")

    @property
    def tau_syn_calculated(self) -> Tensor | None:
        """The synapse's time constant, −1/ln α where α is trained; None without synaptic dynamics."""
        return self.tau("syn")

    def alpha(self, name: str) -> Tensor | None:
        """The decay factor of a time constant; None where there is none."""
        value = self._held(name)
        return value if value is None or self.train_alphas else equations.decay(value)

    def tau(self, name: str) -> Tensor | None:
        """A time constant in timesteps; None where there is none."""
        value = self._held(name)
        return equations.time_constant(value) if value is not None and self.train_alphas else value

    def _held(self, name: str) -> Tensor | None:
        value: Tensor | None = getattr(self, f"{'alpha' if self.train_alphas else 'tau'}_{name}")
        return value

    def charge(self, current: Tensor, state: dict[str, Tensor]) -> Tensor:
        """The potential with a step's current on it; the synapse's new state goes into ``state``."""
        alpha_syn = self.alpha("syn")
        if alpha_syn is not None:
            current = state["i_syn"] = equations.filter_synapse(state["i_syn"], current, alpha_syn)
        return equations.integrate(state["v_mem"], current, self.alpha("mem"), self.norm_input)

    def fire(self, state: dict[str, Tensor], threshold: Tensor | None) -> Tensor:
        """Spikes for the states of this step; its potential goes through the reset and the lower bound."""
        v_mem = spikes = state["v_mem"]
        if self.spike_fn is not None:
            read = [state[name] for name in self._states_read]
            spikes = self.spike_fn.apply(*read, threshold, self.surrogate_grad_fn)
            v_mem = self.reset_fn(v_mem, spikes, threshold)  # type: ignore[misc, arg-type]
        if self.min_v_mem is not None:
            v_mem = equations.bound_below(v_mem, self.min_v_mem)
        state["v_mem"] = v_mem
        return spikes

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if any(prefix + name in state_dict for name in self.state_names):
            # Sinabs', whose checkpoints hold the states of the last batch, and of a layer's constants not all.
            for name in self.state_names:
                state_dict.pop(prefix + name, None)
            for name, value in self._constants().items():
                if name == "min_v_mem" or not isinstance(value, nn.Parameter):
                    state_dict.setdefault(prefix + name, value.detach())
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        wanted = "tau_mem tau_adapt tau_syn alpha_mem alpha_adapt alpha_syn b0 spike_threshold v_leak min_v_mem".split()
        given = {name: getattr(self, name, None) for name in wanted if name not in self.state_names}
        parts = [f"{name}={short(value)}" for name, value in given.items() if isinstance(value, Tensor)]
        if self.spike_fn is not None:
            parts.append(f"spike_fn={getattr(self.spike_fn, '__name__', self.spike_fn)}")
        return ", ".join(parts)


def threshold_parameter(value: float | Tensor | None) -> nn.Parameter | None:
    """A threshold as Sinabs keeps it: a parameter that is not trained; None for a neuron that does not fire."""
    if value is None:
        return None
    return nn.Parameter(finite("spike_threshold", positive("spike_threshold", value)), requires_grad=False)
