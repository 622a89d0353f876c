// What the page says about each neuron, and the range of each parameter that a control moves over.

const range = (name, label, min, max, step, value, more = {}) => ({ kind: "range", name, label, min, max, step, value, ...more });
const choice = (name, label, options, value = Object.keys(options)[0]) => ({ kind: "choice", name, label, options, value });
const toggle = (name, label, value = false) => ({ kind: "toggle", name, label, value });

const RESETS = { subtract: "subtract the threshold", zero: "to zero", value: "to a potential", none: "none" };
const whenValue = (p) => p.reset === "value";
const reset = (value = "subtract") => [
  choice("reset", "Reset", RESETS, value),
  range("reset_value", "Reset to", -1, 0.4, 0.05, -0.5, { when: whenValue }),
];
const integration = choice("integration", "Integration", { euler: "forward Euler", exponential: "exact exponential" });

const sinabsTheta = range("spike_threshold", "Threshold θ", 0.5, 2, 0.05, 1);
const spikes = choice("spikes", "Spikes per step", { single: "at most one", multi: "as many as fit" });
const half = toggle("half_start", "Start at θ/2");
const norm = toggle("norm_input", "Scale the input by 1 − α", true);
const tauMem = range("tau_mem", "Membrane time constant τ", 1, 40, 0.5, 10);

const theta = range("threshold", "Threshold θ", 0.5, 2, 0.05, 1);
const beta = range("beta", "Membrane decay β", 0.5, 0.99, 0.01, 0.9);
const alpha = range("alpha", "Synapse decay α", 0, 0.95, 0.01, 0.8);
const slow = range("alpha", "Slow decay α", 0.62, 0.98, 0.01, 0.9);
const fast = range("beta", "Fast decay β", 0.05, 0.6, 0.01, 0.6);
const delay = toggle("reset_delay", "Reset one step later", true);
const feedback = (value) => range("V", "Feedback V", -1, 0.5, 0.05, value);

// current: what the stimulus slider moves over, and where it starts. also: further states worth a lane of their own.
const MODELS = {
  IAF: {
    title: "IAF: integrate and fire",
    says: "It adds up its current and fires when the sum reaches θ. Nothing leaks, so its rate grows in a straight line with the current: a ReLU.",
    equation: "v ← v + I",
    parameters: [sinabsTheta, ...reset(), spikes, half],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.1 },
  },
  ConstantLeakIAF: {
    title: "IAF with a constant leak",
    says: "It loses the same amount in every step and cannot sink below 0. Currents under that leak never make it fire: its ReLU begins at the leak.",
    equation: "v ← max(v + I − v<sub>leak</sub>, 0)",
    parameters: [range("v_leak", "Leak per step", 0, 0.3, 0.005, 0.05), sinabsTheta, ...reset(), spikes, half],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.12 },
  },
  LIF: {
    title: "LIF: leaky (Sinabs)",
    says: "A share of the potential leaks away in each step. Leak compensation gives back what leaks on average, and makes the curve a ReLU again.",
    equation: "v ← α v + (1 − α) I, with α = e<sup>−1/τ</sup>",
    parameters: [tauMem, sinabsTheta, ...reset(), spikes, norm, toggle("leak_compensation", "Leak compensation"), half],
    current: { min: -2, max: 12, step: 0.05, value: 1.5 },
  },
  ALIF: {
    title: "ALIF: adaptive threshold",
    says: "Each spike lifts the threshold, which then sinks back slowly. A steady current makes it fire fast at first, then ever more rarely.",
    equation: "θ = θ₀ + scale · b, where b is a running mean of the spikes",
    parameters: [
      tauMem,
      range("tau_adapt", "Adaptation time constant", 2, 100, 1, 40),
      range("adapt_scale", "Adaptation scale", 0, 10, 0.1, 4),
      sinabsTheta, ...reset(), spikes, norm,
    ],
    current: { min: -2, max: 12, step: 0.05, value: 2.5 },
  },
  TextbookLIF: {
    title: "LIF of the textbooks",
    says: "A membrane with a resting potential and a resistance, in mV and ms. After a spike it is deaf for the refractory period.",
    equation: "τ v′ = −(v − v<sub>rest</sub>) + R I",
    parameters: [
      range("tau_mem", "Time constant τ (ms)", 2, 50, 0.5, 20),
      range("spike_threshold", "Threshold θ (mV)", 5, 20, 0.5, 10),
      range("R", "Resistance R", 0.5, 2, 0.05, 1),
      range("v_rest", "Resting potential (mV)", -5, 4, 0.5, 0),
      range("v_reset", "Reset potential (mV)", -10, 4, 0.5, 0),
      range("t_ref", "Refractory period (ms)", 0, 20, 0.5, 0),
      range("dt", "Timestep (ms)", 0.25, 1, 0.25, 1),
      choice("reset", "Reset", { value: "to the reset potential", subtract: "subtract", none: "none" }),
      integration,
    ],
    current: { min: -5, max: 60, step: 0.5, value: 11 },
  },
  Lapicque: {
    title: "Lapicque: the RC circuit",
    says: "The oldest of them, from 1907: a resistor and a capacitor side by side. Their product is the time constant, τ = R · C.",
    equation: "RC v′ = −v + R I",
    parameters: [
      range("R", "Resistance R", 1, 20, 0.5, 5),
      range("C", "Capacitance C", 1, 10, 0.5, 2),
      range("time_step", "Timestep", 0.1, 1, 0.1, 1),
      theta, ...reset(), delay, integration,
    ],
    current: { min: -0.5, max: 4, step: 0.01, value: 0.3 },
  },
  Leaky: {
    title: "Leaky (snnTorch)",
    says: "The share β of the potential stays from step to step, and the whole current comes on top. β = e<sup>−1/τ</sup>.",
    equation: "v ← β v + I",
    parameters: [beta, theta, ...reset(), delay],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.15 },
  },
  RLeaky: {
    title: "RLeaky: with feedback",
    says: "Its own last spike comes back as a current. A negative V slows it down, a positive one makes it fire in bursts.",
    equation: "v ← β v + I + V s",
    parameters: [feedback(-0.5), beta, theta, ...reset(), delay],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.2 },
  },
  Synaptic: {
    title: "Synaptic (snnTorch)",
    says: "A spike charges a synapse, whose current then flows into the membrane and fades with α.",
    equation: "i ← α i + I; &ensp;v ← β v + i",
    parameters: [alpha, beta, theta, ...reset(), delay],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.03 },
    also: { label: "Synaptic current i", states: ["syn"] },
  },
  RSynaptic: {
    title: "RSynaptic: with feedback",
    says: "The synapse hears the neuron's own last spike too, so a negative V acts like an after-effect that lasts.",
    equation: "i ← α i + I + V s; &ensp;v ← β v + i",
    parameters: [feedback(-0.2), alpha, beta, theta, ...reset(), delay],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.05 },
    also: { label: "Synaptic current i", states: ["syn"] },
  },
  Stein: {
    title: "Stein (snnTorch 0.2)",
    says: "The same synapse and membrane, but a spike leaves one step after the threshold was crossed.",
    equation: "i ← α i + I; &ensp;v ← β v + i; &ensp;s late by one step",
    parameters: [alpha, beta, theta, ...reset()],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.03 },
    also: { label: "Synaptic current i", states: ["syn"] },
  },
  Alpha: {
    title: "Alpha: rises, then falls",
    says: "The potential is a slow trace minus a fast one, so each input spike swells before it fades.",
    equation: "v = τ<sub>α</sub> (e + h); &ensp;e ← α e + I; &ensp;h ← β h − I",
    parameters: [slow, fast, theta, ...reset("zero"), delay],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.15 },
    also: { label: "Slow trace e and fast trace h", states: ["syn_exc", "syn_inh"] },
  },
  SRM0: {
    title: "SRM0 (snnTorch 0.2)",
    says: "The same response, but what was above θ at a spike lives on in a residual, and spikes leave one step late.",
    equation: "v = τ<sub>α</sub> (e + h) + z",
    parameters: [slow, fast, theta, ...reset()],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.15 },
    also: { label: "Slow trace e and fast trace h", states: ["syn_pre", "syn_post"] },
  },
  ExpLeak: {
    title: "Leaky integrator",
    says: "The membrane without the threshold. It never fires: what it gives on is its potential.",
    equation: "v ← α v + I, with α = e<sup>−1/τ</sup>",
    parameters: [tauMem, toggle("norm_input", "Scale the input by 1 − α")],
    current: { min: -0.5, max: 2.5, step: 0.005, value: 0.15 },
  },
};

const defaults = (parameters) => Object.fromEntries(parameters.map(({ name, value }) => [name, value]));
