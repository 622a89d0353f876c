"""Record what other libraries' neurons do, for ``tests/layers/test_golden_models.py`` to compare with.

The libraries are no dependency of respike; install them in an environment of their own:

    pip install "snntorch==1.0.*" "sinabs==3.1.*" "norse==1.1.*" brian2 scipy "numpy<2"
    pip install --no-deps --target old "snntorch==0.2.*"
    python scripts/make_golden_traces.py --old old

Snntorch 0.2 is a second copy, in the folder ``--old``. Brian2 2.9 needs numpy 1. Cases come from
``tests/layers/golden/cases.json``, whose arguments are given to the peer's class and to ours alike; traces
go beside it, one file per library. All run in float64 on the same seeded currents.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from respike.files import written_whole

GOLDEN = Path(__file__).parent.parent / "tests" / "layers" / "golden"
STEPS = 200
Arrays = dict[str, Any]


def currents(*shape: int) -> torch.Tensor:
    """Seeded currents ``(batch, 200, ...)`` whose mean drives every case above its threshold."""
    values = np.random.default_rng(0).uniform(-0.4, 1.0, (shape[0], STEPS, *shape[1:])).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64))


def tensors(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments from JSON: a list of fractions is one value per neuron, one of integers a kernel's size."""
    lists = {name: value for name, value in arguments.items() if isinstance(value, list)}
    made = {name: tuple(v) if isinstance(v[0], int) else torch.tensor(v) for name, v in lists.items()}
    return arguments | made


def kept(spikes: torch.Tensor, states: dict[str, torch.Tensor], layer: Any, x: torch.Tensor) -> Arrays:
    """Spikes, states, and the gradients of the weighted spike count in the input and in every parameter."""
    loss = (spikes * torch.linspace(-1.0, 1.0, STEPS).reshape(1, -1, *[1] * (spikes.dim() - 2))).sum()
    loss.backward()
    found: Arrays = {"spikes": spikes.detach().numpy().astype(np.float32)}
    found |= {f"state/{name}": value.detach().numpy().astype(np.float32) for name, value in states.items()}
    for name, parameter in getattr(layer, "named_parameters", dict)() or ():
        found[f"value/{name}"] = parameter.detach().numpy()
        if parameter.grad is not None:
            found[f"grad/{name}"] = parameter.grad.numpy()
    assert x.grad is not None
    found["grad_input"] = x.grad.numpy()[:, -8:]
    return found


def snntorch(cases: dict[str, Any]) -> dict[str, Arrays]:
    """Cases of snnTorch 1.0, one call per timestep."""
    library, surrogates = importlib.import_module("snntorch"), importlib.import_module("snntorch.surrogate")
    found = {}
    for name, case in cases.items():
        torch.manual_seed(0)
        options = tensors(case["arguments"])
        if "surrogate" in case:
            kind, *numbers = case["surrogate"]
            options["spike_grad"] = getattr(surrogates, kind)(*numbers)
        layer = getattr(library, case["neuron"])(**options)
        x = (currents(1, 2, 2, 2) if case.get("maps") else currents(2, 2)) * case.get("scale", 1.0)
        x.requires_grad_()
        names = [n for n in ("syn", "syn_exc", "syn_inh", "mem") if hasattr(layer, n)]
        spikes: list[torch.Tensor] = []
        states: dict[str, list[torch.Tensor]] = {n: [] for n in names}
        for step in x.unbind(1):
            if hasattr(layer, "spk"):
                layer.spk = layer.spk.double()  # its surrogates give float32, which its own weights refuse here
            spikes.append(layer(step)[0])
            for n in names:
                states[n].append(getattr(layer, n))
        found[name] = kept(torch.stack(spikes, 1), {n: torch.stack(v, 1) for n, v in states.items()}, layer, x)
    return found


def snntorch_02(cases: dict[str, Any], library: ModuleType) -> dict[str, Arrays]:
    """Cases of snnTorch 0.2, which has no parameters: only the input has a gradient."""
    found = {}
    for name, case in cases.items():
        options = case["arguments"] | ({"batch_size": 2} if case["arguments"].get("inhibition") else {})
        layer = getattr(library, case["neuron"])(**options)
        x = (currents(2, 2) * case.get("scale", 1.0)).requires_grad_()
        names = {"Stein": ("syn", "mem"), "SRM0": ("syn_pre", "syn_post", "mem")}[case["neuron"]]
        state = [torch.zeros(2, 2) for _ in names]
        outputs = []
        for step in x.unbind(1):
            spikes, *state = layer(step, *state)
            outputs.append([spikes, *state])
        spikes, *recorded = (torch.stack(values, 1) for values in zip(*outputs, strict=True))
        found[name] = kept(spikes, dict(zip(names, recorded, strict=True)), None, x)
    return found


class Wide(torch.nn.Linear):
    """A linear layer that takes the float32 spikes of peers in a float64 network."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        return super().forward(input.to(self.weight.dtype))


def sinabs(cases: dict[str, Any]) -> dict[str, Arrays]:
    """Cases of Sinabs. Its recordings of ALIF hold the last step only, so states come from ever longer runs."""
    library = importlib.import_module("sinabs.layers")
    found = {}
    for name, case in cases.items():
        torch.manual_seed(0)
        connection = Wide(2, 2, bias=False)
        options = case["arguments"] | ({"rec_connect": connection} if "Recurrent" in case["neuron"] else {})
        layer = getattr(library, case["neuron"])(**options)
        x = (currents(2, 2) * case.get("scale", 1.0)).requires_grad_()
        states: dict[str, list[torch.Tensor]] = {n: [] for n in ("v_mem", "b", "spike_threshold")}
        for steps in range(1, STEPS + 1):
            layer.reset_states()
            spikes = layer(x[:, :steps])
            for n, values in states.items():
                values.append(getattr(layer, n).detach().clone())
        found[name] = kept(spikes, {n: torch.stack(v, 1) for n, v in states.items()}, layer, x)
    return found


def sinabs_checkpoints() -> dict[str, Arrays]:
    """What Sinabs saves of used layers whose constants are not the defaults, and how fresh ones with them go on."""
    library, taus = importlib.import_module("sinabs.layers"), torch.tensor([4.0, 9.0])
    torch.manual_seed(0)
    built: dict[str, Any] = {
        "IAF": library.IAF(spike_threshold=0.75, tau_syn=3.0),
        "LIF": library.LIF(taus, 3.0, spike_threshold=torch.tensor([0.5, 0.25]), min_v_mem=-0.5),
        "LIF alphas": library.LIF(taus, train_alphas=True, norm_input=False),
        "ALIF": library.ALIF(6.0, 20.0, norm_input=False),
        "ExpLeak": library.ExpLeak(6.0),
        "LIFRecurrent": library.LIFRecurrent(6.0, Wide(2, 2), norm_input=False),
    }
    found: dict[str, Arrays] = {}
    for name, layer in built.items():
        layer(currents(2, 2))
        found[name] = {f"saved/{key}": value.detach().numpy() for key, value in layer.state_dict().items()}
        layer.reset_states()
        if name == "ALIF":
            layer.spike_threshold += 1.0  # its own reset leaves the threshold at 0
        found[name]["spikes"] = layer(currents(2, 2)).detach().numpy().astype(np.float32)
    return found


def norse() -> dict[str, Arrays]:
    """Norse's LIFBox, LIFRefrac, IAF and LIBox, from 0 and without gradients.

    LIFRefrac has a synapse: with τ_syn = Δt it forgets at once, and is a LIFBox with a refractory period.
    """
    files = ("lif_box", "lif", "lif_refrac", "iaf", "leaky_integrator_box")
    box, lif, refrac, iaf, li = (importlib.import_module(f"norse.torch.functional.{file}") for file in files)
    number, zero, dt, x = torch.tensor, torch.zeros(2, 2), 0.001, currents(2, 2)

    def box_step(current: torch.Tensor, state: Any) -> Any:
        p = box.LIFBoxParameters(number(50.0), v_leak=number(0.5), v_th=number(1.0), v_reset=number(0.25))
        return box.lif_box_feed_forward_step(current * 4, state or box.LIFBoxFeedForwardState(zero + 0.5), p, dt)

    def refrac_step(current: torch.Tensor, state: Any) -> Any:
        p = refrac.LIFRefracParameters(lif.LIFParameters(number(1 / dt), number(50.0)), rho_reset=number(5.0))
        start = refrac.LIFRefracFeedForwardState(lif.LIFFeedForwardState(v=zero, i=zero), zero)
        return refrac.lif_refrac_feed_forward_step(current * 10, state or start, p, dt)

    def iaf_step(current: torch.Tensor, state: Any) -> Any:
        return iaf.iaf_feed_forward_step(current, state or iaf.IAFFeedForwardState(zero), iaf.IAFParameters(), dt)

    def li_step(current: torch.Tensor, state: Any) -> Any:
        return li.li_box_feed_forward_step(current, state or li.LIBoxState(zero), li.LIBoxParameters(), dt)

    found = {}
    for name, step in (("LIFBox", box_step), ("LIFRefrac", refrac_step), ("IAF", iaf_step), ("LIBox", li_step)):
        state, spikes, potentials = None, [], []
        for current in x.unbind(1):
            output, state = step(current, state)
            spikes.append(output)
            potentials.append(state.lif.v if name == "LIFRefrac" else state.v)
        found[name] = {"spikes": torch.stack(spikes, 1).numpy().astype(np.float32)}
        found[name]["state/v_mem"] = torch.stack(potentials, 1).numpy().astype(np.float32)
    return found


def brian2() -> dict[str, Arrays]:
    """Brian2 on τ v' = −(v − v_rest) + R·I with a refractory period, by both of the methods that we have."""
    b2 = importlib.import_module("brian2")
    b2.prefs.codegen.target = "numpy"
    drive, found = currents(1, 4)[0].numpy(), {}
    for method in ("euler", "exact"):
        b2.start_scope()
        b2.defaultclock.dt = 1 * b2.ms
        group = b2.NeuronGroup(
            4,
            "dv/dt = (-(v + 65) + 90*stimulus(t, i)) / (20*ms) : 1 (unless refractory)",
            threshold="v > -50",
            reset="v = -70",
            refractory=4 * b2.ms,
            method=method,
            namespace={"stimulus": b2.TimedArray(drive, dt=1 * b2.ms)},
        )
        group.v = -65
        potential, spikes = b2.StateMonitor(group, "v", record=True, when="end"), b2.SpikeMonitor(group)
        network = b2.Network(group, potential, spikes)
        network.run(STEPS * b2.ms)
        raster = np.zeros((1, STEPS, 4), np.float32)
        raster[0, np.round(np.asarray(spikes.t / b2.ms)).astype(int), np.asarray(spikes.i)] = 1
        found[method] = {"spikes": raster, "state/v_mem": np.asarray(potential.v).T[None].astype(np.float32)}
    return found


def ode() -> dict[str, Arrays]:
    """An ODE solver, scipy's, on the same equation, in continuous time: spike times, and v at the end of each ms."""
    integrate = importlib.import_module("scipy.integrate")
    drive, found = currents(1, 4)[0].numpy(), {}
    for neuron in range(4):
        v, free, times, potentials = -65.0, 0.0, [], []
        for ms, current in enumerate(drive[:, neuron]):
            now = max(float(ms), free)
            while now < ms + 1:

                def slope(t: float, v: Any, current: float = current) -> Any:
                    return (-(v + 65) + 90 * current) / 20

                def crossing(t: float, v: Any) -> Any:
                    return v[0] + 50

                crossing.terminal, crossing.direction = True, 1.0  # type: ignore[attr-defined]
                run = integrate.solve_ivp(slope, (now, ms + 1), [v], events=crossing, rtol=1e-11, atol=1e-11)
                now, v = run.t[-1], run.y[0, -1]
                if run.status == 1:
                    times.append(now)
                    v, free = -70.0, now + 4.0
                    now = free
            potentials.append(v)
        found[f"neuron {neuron}"] = {"times": np.array(times), "v_mem": np.array(potentials)}
    return found


def encoders() -> dict[str, Arrays]:
    """Encoders of snnTorch that draw nothing, with the time axis where we have it."""
    spikegen, generator = importlib.import_module("snntorch.spikegen"), np.random.default_rng(1)
    values, series = torch.tensor(generator.uniform(0, 1, (2, 8))), torch.tensor(generator.normal(0, 0.2, (2, 30, 3)))
    cases = json.loads((GOLDEN / "cases.json").read_text())["encoders"]
    found: dict[str, Arrays] = {"data": {"latency": values.numpy(), "delta": series.numpy()}}
    for name, case in cases.items():
        data = values if case["encoder"] == "latency" else series.movedim(1, 0)
        spikes = getattr(spikegen, case["encoder"])(data, **case["arguments"])
        found[name] = {"spikes": spikes.movedim(0, 1).numpy().astype(np.int8)}
    return found


def save(name: str, found: dict[str, Arrays], shared: Arrays | None = None) -> None:
    """One compressed file per library, the arrays named ``case/array``."""
    arrays = {f"{case}/{key}": value for case, values in found.items() for key, value in values.items()}
    with written_whole(GOLDEN / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays, **(shared or {}))
    print(f"{name}: {len(found)} cases, {(GOLDEN / f'{name}.npz').stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Run every library and write its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, required=True, help="folder that snnTorch 0.2 is installed in")
    old = parser.parse_args().old / "snntorch" / "__init__.py"
    torch.set_default_dtype(torch.float64)
    cases = json.loads((GOLDEN / "cases.json").read_text())
    spec = importlib.util.spec_from_file_location("snntorch_02", old)
    assert spec is not None and spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    save("snntorch", snntorch(cases["snntorch"]))
    save("snntorch-0.2", snntorch_02(cases["snntorch-0.2"], library))
    save("sinabs", sinabs(cases["sinabs"]))
    save("sinabs-checkpoints", sinabs_checkpoints())
    save("norse", norse())
    save("brian2", brian2())
    save("ode", ode())
    save("encoders", encoders())
    shapes = {"two": (2, 2), "maps": (1, 2, 2, 2), "four": (1, 4)}
    save("currents", {}, {name: currents(*shape).numpy() for name, shape in shapes.items()})


if __name__ == "__main__":
    main()
