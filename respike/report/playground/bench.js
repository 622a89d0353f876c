// The neuron bench: a model, its parameters and a stimulus on one side, what happens over time on the other.

const STIMULUS_CHOICE = {
  step: "a step",
  pulse: "pulses",
  train: "a spike train, seeded",
  noise: "noise, seeded",
};

// How much stronger than the model's usual current each stimulus is at first: what comes rarely must come strongly.
const STRENGTH = { step: 1, pulse: 3, train: 4, noise: 1.3 };

function stimulusControls(kind, { min, max, step, value }) {
  const amplitude = (label) => range("amplitude", label, min, max, step, Math.min(STRENGTH[kind] * value, max));
  const seed = range("seed", "Seed", 1, 50, 1, 1);
  const start = range("start", "Starts at step", 0, 100, 1, 10);
  return {
    step: [amplitude("Current"), start],
    pulse: [amplitude("Current"), start, range("width", "Steps on", 1, 30, 1, 5), range("period", "Every … steps", 5, 100, 1, 25)],
    train: [amplitude("Current of a spike"), range("chance", "Spikes per step", 0, 1, 0.01, 0.25), seed],
    noise: [amplitude("Mean current"), range("spread", "Spread", 0, max / 2, step, value), seed],
  }[kind];
}

const TIMESTEPS = range("timesteps", "Timesteps", 40, 200, 10, 100);

function startBench(section) {
  const part = (name) => section.querySelector(`.${name}`);
  const chosen = { model: "LIF", kind: "step", parameters: {}, stimulus: {} };
  const redraw = chart(part("picture"), (width) => (MODELS[chosen.model].also ? 90 : 0) + (width < 480 ? 330 : 420), paint);

  function paint(width, height) {
    const found = trace({ ...chosen, stimulus: { ...chosen.stimulus, kind: chosen.kind } });
    const fired = sum(found.spikes);
    const words = found.threshold[0] === null
      ? `It ends at v = ${short(found.membrane.at(-1))}.`
      : `${count(fired, "spike")} in ${found.spikes.length} timesteps: a rate of ${short(fired / found.spikes.length)} per step.`;
    part("reading").textContent = words;
    return { label: `${MODELS[chosen.model].title}. ${words}`, marks: benchMarks(chosen.model, found, width, height) };
  }

  function showStimulus() {
    const described = [...stimulusControls(chosen.kind, MODELS[chosen.model].current), TIMESTEPS];
    chosen.stimulus = defaults(described);
    const kind = choice("kind", "Stimulus", STIMULUS_CHOICE);
    const values = { kind: chosen.kind, ...chosen.stimulus };
    controls(part("stimulus"), "stimulus", [kind, ...described], values, (name) => {
      if (name !== "kind") chosen.stimulus[name] = values[name];
      else {
        chosen.kind = values.kind;
        showStimulus();
        document.getElementById("stimulus-kind").focus();
      }
      redraw();
    });
  }

  function showModel() {
    const model = MODELS[chosen.model];
    part("says").textContent = model.says;
    part("equation").innerHTML = model.equation;
    chosen.parameters = defaults(model.parameters);
    controls(part("settings"), "neuron", model.parameters, chosen.parameters, redraw);
    showStimulus();
    redraw();
  }

  controls(part("model"), "bench", [choice("model", "Model", MODEL_TITLES)], chosen, showModel);
  section.querySelector("#bench-back").addEventListener("click", showModel);
  showModel();
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

// Lanes from top to bottom that share the time axis: current, further states, membrane, spikes.
function benchMarks(name, { currents, membrane, threshold, spikes, states }, width, height) {
  const { also } = MODELS[name];
  const fires = threshold[0] !== null;
  const sides = { left: 44, right: width - 14, x: [0, currents.length] };
  const lanes = { current: 60, also: also ? 56 : 0, spikes: fires ? 26 : 0 };
  const [gap, bottom] = [32, 42];
  const used = Object.values(lanes).filter((high) => high > 0);
  lanes.membrane = height - bottom - sum(used) - gap * (used.length + 1);
  const marks = [];
  let top = gap - 8;
  const next = (key, more) => {
    const made = lane({ ...sides, top, height: lanes[key], ...more });
    top += lanes[key] + gap;
    marks.push(made.group);
    return made;
  };

  const current = next("current", { title: "Current I", y: extent([0, ...currents]), yTicks: 3 });
  const base = current.y(0);
  current.group.append(
    shape("path", { class: "current area", d: `${stairs(currents, current.x, current.y)}V${base}H${current.x(0)}Z` }),
    shape("path", { class: "current line", d: stairs(currents, current.x, current.y) }),
  );
  if (also) {
    const values = also.states.map((state) => states[state]);
    const lower = next("also", { title: also.label, y: extent([0, ...values.flat()]), yTicks: 2 });
    values.forEach((v, k) => lower.group.append(shape("path", { class: `also line n${k}`, d: through(v, lower) })));
  }

  const v = next("membrane", {
    title: "Membrane potential v", y: extent([0, ...membrane, ...(fires ? threshold : [])]), yTicks: 4,
    ...(fires ? {} : { xTicks: 6, xTitle: "timestep" }),
  });
  const struck = spikes.flatMap((s, t) => (fires && s !== 0 ? [[t, s]] : []));
  for (const [t] of struck) {
    const at = v.x(t + 1);
    v.group.append(shape("line", { class: "struck", x1: at, x2: at, y1: v.y(threshold[t]), y2: top - gap }));
  }
  if (fires) {
    v.group.append(
      shape("path", { class: "threshold", d: stairs(threshold, v.x, v.y) }),
      text(sides.right, v.top - 9, "threshold θ", { class: "note", "text-anchor": "end" }),
    );
  }
  v.group.append(shape("path", { class: "membrane line", d: through(membrane, v) }));
  if (fires) {
    const most = Math.max(1, ...spikes);
    const s = next("spikes", { title: "Spikes s", y: [0, most], yTicks: 1, xTicks: 6, xTitle: "timestep" });
    for (const [t, many] of struck) {
      s.group.append(shape("line", { class: "spike", x1: s.x(t + 1), x2: s.x(t + 1), y1: s.y(0), y2: s.y(many) }));
    }
  }
  return marks;
}

// States are known at the end of each timestep.
const through = (values, { x, y }) => path(values.map((value, t) => [x(t + 1), y(value)]));
