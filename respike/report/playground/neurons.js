// The neurons of respike.layers: one timestep each, in double precision and in the library's order of operations.
//
// A neuron has start(p), its states before the first step, and step(p, current, state), which gives
// [spikes, new state] and leaves the old one alone. p holds the parameters by their Python names; where Python takes
// an object, it holds a word: spikes ("single", "multi"), reset ("subtract", "zero", "value", "none") with
// reset_value, and half_start for v_init = θ/2. reach(p) is what a lasting current of 1 brings to the membrane per
// step, as a share of the threshold.

// respike/layers/equations.py

const decay = (tau) => Math.exp(-1 / tau);
const integrate = (v, current, alpha, norm) => alpha * v + (norm ? (1 - alpha) * current : current);
const eulerStep = (v, vInf, ratio) => v + ratio * (vInf - v);
const exponentialStep = (v, vInf, ratio) => vInf + (v - vInf) * Math.exp(-ratio);
const alphaGain = (alpha, beta) => Math.log(alpha) / (Math.log(beta) - Math.log(alpha)) + 1;
const singleSpike = (v, theta) => (v - theta >= 0 ? 1 : 0);
const strictSpike = (v, theta) => (v - theta > 0 ? 1 : 0);
const multiSpike = (v, theta) => (v > 0 ? Math.trunc(v / theta) : 0);
const boundBelow = (v, least) => Math.max(v - least, 0) + least;

const INTEGRATION = { euler: eulerStep, exponential: exponentialStep };
const resetValue = (p) => (p.reset === "value" ? p.reset_value : 0);
const isHard = (p) => p.reset === "zero" || p.reset === "value";

// Sinabs' family (respike/layers): s = [v ≥ θ], and the reset in the same step.

function fire(p, v, theta) {
  const spikes = p.spikes === "multi" ? multiSpike(v, theta) : singleSpike(v, theta);
  if (p.reset === "subtract") v -= spikes * theta;
  else if (isHard(p) && spikes !== 0) v = resetValue(p);
  return [spikes, v];
}

const halfStart = (p) => ({ v_mem: p.half_start ? p.spike_threshold / 2 : 0 });

const IAF = {
  membrane: "v_mem",
  start: halfStart,
  reach: (p) => 1 / p.spike_threshold,
  step(p, current, state) {
    const [spikes, v] = fire(p, state.v_mem + current, p.spike_threshold);
    return [spikes, { v_mem: v }];
  },
};

const ConstantLeakIAF = {
  ...IAF,
  step(p, current, state) {
    const [spikes, v] = fire(p, state.v_mem + current - p.v_leak, p.spike_threshold);
    return [spikes, { v_mem: boundBelow(v, 0) }];
  },
};

const leakyReach = (p) => (p.norm_input ? 1 - decay(p.tau_mem) : 1) / p.spike_threshold;

const LIF = {
  ...IAF,
  reach: leakyReach,
  step(p, current, state) {
    const alpha = decay(p.tau_mem);
    let v = integrate(state.v_mem, current, alpha, p.norm_input);
    if (p.leak_compensation) v += ((1 - alpha) * p.spike_threshold) / 2;
    const [spikes, after] = fire(p, v, p.spike_threshold);
    return [spikes, { v_mem: after }];
  },
};

const ALIF = {
  membrane: "v_mem",
  start: (p) => ({ v_mem: 0, b: 0, spike_threshold: p.spike_threshold }),
  reach: leakyReach,
  threshold: (p, state) => state.spike_threshold,
  step(p, current, state) {
    const charged = integrate(state.v_mem, current, decay(p.tau_mem), p.norm_input);
    const [spikes, v] = fire(p, charged, state.spike_threshold);
    const rho = decay(p.tau_adapt);
    const b = rho * state.b + (1 - rho) * spikes;
    return [spikes, { v_mem: v, b, spike_threshold: p.spike_threshold + p.adapt_scale * b }];
  },
};

const ExpLeak = {
  membrane: "v_mem",
  start: () => ({ v_mem: 0 }),
  threshold: () => null,
  step(p, current, state) {
    const v = integrate(state.v_mem, current, decay(p.tau_mem), p.norm_input);
    return [v, { v_mem: v }]; // what it gives on is its potential
  },
};

// The textbook's LIF (respike/layers/textbook/textbook_lif.py).

function roundHalfEven(x) { // Python's round
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}

const TextbookLIF = {
  membrane: "v_mem",
  start: (p) => ({ v_mem: p.v_rest, refractory: 0 }),
  reach: (p) => (p.R * INTEGRATION[p.integration](0, 1, p.dt / p.tau_mem)) / (p.spike_threshold - p.v_reset),
  step(p, current, state) {
    const ready = state.refractory <= 0;
    let v = state.v_mem;
    if (ready) v = INTEGRATION[p.integration](v, p.v_rest + p.R * current, p.dt / p.tau_mem);
    const spikes = ready ? strictSpike(v, p.spike_threshold) : 0;
    if (p.reset === "subtract") v -= spikes * (p.spike_threshold - p.v_reset);
    else if (p.reset === "value") v -= spikes * (v - p.v_reset);
    const left = spikes > 0 ? roundHalfEven(p.t_ref / p.dt) : Math.max(state.refractory - 1, 0);
    return [spikes, { v_mem: v, refractory: left }];
  },
};

// snnTorch's family (respike/layers/textbook/beta_neuron.py): s = [v > θ], and the reset one step later.

function resetMembrane(p, mem, fired) {
  if (p.reset === "none") return mem;
  return p.reset === "subtract" ? mem - fired * p.threshold : mem - fired * (mem - resetValue(p));
}

function betaNeuron({
  states = [],
  charge,
  reset = (p, state, fired) => ({ ...state, mem: resetMembrane(p, state.mem, fired) }),
  reach = (p) => 1 / p.threshold,
  hardResetFirst = false,
  spikeDelay = false,
  feedback = false,
}) {
  const names = [...states, "mem", ...(feedback ? ["spk"] : [])];
  return {
    membrane: "mem",
    start: () => Object.fromEntries(names.map((name) => [name, 0])),
    reach,
    step(p, current, state) {
      const late = strictSpike(state.mem, p.threshold);
      const delayed = spikeDelay || p.reset_delay;
      const first = hardResetFirst && isHard(p);
      if (delayed && first) state = reset(p, state, late, state);
      let after = charge(p, feedback ? current + p.V * state.spk : current, state);
      if (delayed && !first) after = reset(p, after, late, state);
      const spikes = spikeDelay ? late : strictSpike(after.mem, p.threshold);
      if (!delayed) after = reset(p, after, spikes, state);
      return [spikes, feedback ? { ...after, spk: spikes } : after];
    },
  };
}

const chargeLeaky = (p, current, state) => ({ mem: integrate(state.mem, current, p.beta, false) });

const chargeLapicque = (p, current, state) => ({
  mem: INTEGRATION[p.integration](state.mem, p.R * current, p.time_step / (p.R * p.C)),
});

function chargeSynaptic(p, current, state) {
  const syn = p.alpha * state.syn + current;
  return { syn, mem: integrate(state.mem, syn, p.beta, false) };
}

const synaptic = { states: ["syn"], charge: chargeSynaptic, reach: (p) => 1 / (1 - p.alpha) / p.threshold };

const Leaky = betaNeuron({ charge: chargeLeaky, hardResetFirst: true });
const RLeaky = betaNeuron({ charge: chargeLeaky, feedback: true });
const Lapicque = betaNeuron({
  charge: chargeLapicque,
  reach: (p) => (p.R * INTEGRATION[p.integration](0, 1, p.time_step / (p.R * p.C))) / p.threshold,
});
const Synaptic = betaNeuron(synaptic);
const RSynaptic = betaNeuron({ ...synaptic, feedback: true });
const Stein = betaNeuron({ ...synaptic, spikeDelay: true });

const Alpha = betaNeuron({
  states: ["syn_exc", "syn_inh"],
  charge(p, current, state) {
    const e = p.alpha * state.syn_exc + current;
    const h = p.beta * state.syn_inh - current;
    return { syn_exc: e, syn_inh: h, mem: alphaGain(p.alpha, p.beta) * (e + h) };
  },
  reset(p, { syn_exc: e, syn_inh: h, mem }, fired, before) {
    if (p.reset === "none") return { syn_exc: e, syn_inh: h, mem };
    if (p.reset === "subtract") {
      return { syn_exc: e - fired * p.threshold, syn_inh: h - fired * h, mem: mem + fired * before.syn_inh };
    }
    const left = resetValue(p) / alphaGain(p.alpha, p.beta);
    return { syn_exc: e - fired * (e - left), syn_inh: h - fired * h, mem: resetMembrane(p, mem, fired) };
  },
});

const SRM0 = betaNeuron({
  states: ["syn_pre", "syn_post", "mem_residual"],
  spikeDelay: true,
  charge(p, current, state) {
    const gain = alphaGain(p.alpha, p.beta);
    const e = p.alpha * state.syn_pre + current;
    const h = p.beta * state.syn_post - current;
    const residual = state.mem_residual / gain;
    return { syn_pre: e, syn_post: h, mem_residual: residual, mem: gain * (e + h) + residual };
  },
  reset(p, { syn_pre: e, syn_post: h, mem_residual: residual, mem }, fired, before) {
    if (p.reset === "none") return { syn_pre: e, syn_post: h, mem_residual: residual, mem };
    const gain = alphaGain(p.alpha, p.beta);
    if (p.reset === "subtract") {
      [e, h] = [(1 - fired) * e, (1 - fired) * h];
      residual += fired * (before.mem - p.threshold);
      return { syn_pre: e, syn_post: h, mem_residual: residual, mem: gain * (e + h) + residual };
    }
    e -= fired * (e - resetValue(p) / gain);
    return { syn_pre: e, syn_post: h - fired * h, mem_residual: residual, mem: resetMembrane(p, mem, fired) };
  },
});

const NEURONS = {
  IAF, ConstantLeakIAF, LIF, ALIF, TextbookLIF, Lapicque, Leaky, RLeaky, Synaptic, RSynaptic, Stein, Alpha, SRM0,
  ExpLeak,
};

// All timesteps of a list of currents: spikes and states after each, and the threshold it was held against.
function run(model, p, currents) {
  const neuron = NEURONS[model];
  const threshold = neuron.threshold ?? (() => p.spike_threshold ?? p.threshold);
  let state = neuron.start(p);
  const found = { spikes: [], threshold: [], states: {} };
  for (const name of Object.keys(state)) found.states[name] = [];
  for (const current of currents) {
    found.threshold.push(threshold(p, state));
    const [spikes, after] = neuron.step(p, current, state);
    state = after;
    found.spikes.push(spikes);
    for (const [name, values] of Object.entries(found.states)) values.push(state[name]);
  }
  return { ...found, membrane: found.states[neuron.membrane] };
}

// The mean of the spikes over a constant current.
function rate(model, p, current, timesteps) {
  const neuron = NEURONS[model];
  let [sum, spikes, state] = [0, 0, neuron.start(p)];
  for (let t = 0; t < timesteps; t++) {
    [spikes, state] = neuron.step(p, current, state);
    sum += spikes;
  }
  return sum / timesteps;
}
