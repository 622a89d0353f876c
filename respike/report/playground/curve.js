// The activation curve: a pen that moves over the currents and leaves the firing rate behind.

const [DRIVE_FROM, DRIVE_TO, POINTS] = [-0.5, 1.5, 401];
const DRIVES = over(POINTS, (k) => DRIVE_FROM + (k * (DRIVE_TO - DRIVE_FROM)) / (POINTS - 1));
const SWEEP = 5; // seconds

// What is worth changing here; all else keeps its default.
const CURVE_PARAMETERS = {
  IAF: ["half_start", "reset", "spikes"],
  ConstantLeakIAF: ["v_leak", "half_start", "reset"],
  LIF: ["tau_mem", "leak_compensation", "half_start", "reset"],
  ALIF: ["tau_mem", "tau_adapt", "adapt_scale", "reset"],
  TextbookLIF: ["tau_mem", "t_ref", "reset", "integration"],
  Lapicque: ["R", "C", "reset"],
  Leaky: ["beta", "reset"],
  RLeaky: ["V", "beta", "reset"],
  Synaptic: ["alpha", "beta", "reset"],
  RSynaptic: ["V", "alpha", "beta", "reset"],
  Stein: ["alpha", "beta", "reset"],
  Alpha: ["alpha", "beta", "reset"],
  SRM0: ["alpha", "beta", "reset"],
};

const clip = (x) => Math.min(Math.max(x, 0), 1);

function startCurve(section) {
  const part = (name) => section.querySelector(`.${name}`);
  const chosen = { model: "IAF", timesteps: 8, parameters: {}, drive: 0.6 };
  let [drawn, rates, playing] = [DRIVE_TO, [], 0];
  const redraw = chart(part("picture"), (width) => Math.min(300, width * 0.8) + 130, paint);
  const current = (drive) => drive / NEURONS[chosen.model].reach(chosen.parameters);

  function measure() {
    rates = curve({ ...chosen, currents: DRIVES.map(current) }).rates;
    redraw();
  }

  function paint(width, height) {
    const found = trace({ ...chosen, currents: over(chosen.timesteps, () => current(chosen.drive)) });
    const gap = sum(rates.map((r, k) => Math.abs(r - clip(DRIVES[k])))) / POINTS;
    const fired = sum(found.spikes);
    const words = `At a current of ${short(chosen.drive)}: ${count(fired, "spike")} in ${count(chosen.timesteps, "step")}, ` +
      `a rate of ${short(fired / chosen.timesteps)}. Mean gap to the clipped ReLU: ${short(gap)}.`;
    part("reading").textContent = words;
    const marks = [curveLane(width, height - 130, rates, drawn, [chosen.drive, fired / chosen.timesteps])];
    return { label: `${MODELS[chosen.model].title}. ${words}`, marks: [...marks, rasterLane(width, height - 84, found)] };
  }

  function moveTo(drive) {
    chosen.drive = drive;
    drawn = Math.max(drawn, drive);
    redraw();
  }

  function showModel() {
    const named = CURVE_PARAMETERS[chosen.model];
    const { parameters } = MODELS[chosen.model];
    chosen.parameters = defaults(parameters);
    const about = parameters.filter(({ name }) => named.includes(name) || (name === "reset_value" && named.includes("reset")));
    const values = { ...chosen.parameters, timesteps: chosen.timesteps, drive: chosen.drive };
    if (values.half_start !== undefined) values.half_start = chosen.parameters.half_start = true;
    const all = [
      range("timesteps", "Timesteps T", 1, 128, 1, 8),
      range("drive", "Current (in thresholds)", DRIVE_FROM, DRIVE_TO, 0.005, 0.6),
      ...about,
    ];
    controls(part("settings"), "curve", all, values, (name) => {
      stop();
      if (name === "drive") return moveTo(values.drive);
      if (name === "timesteps") chosen.timesteps = values.timesteps;
      else chosen.parameters[name] = values[name];
      measure();
    });
    measure();
  }

  function follow() { // the slider goes with the pen
    const slider = document.getElementById("curve-drive");
    slider.value = chosen.drive;
    slider.dispatchEvent(new Event("pen"));
  }

  function stop() {
    cancelAnimationFrame(playing);
    [playing, drawn] = [0, playing ? DRIVE_TO : drawn];
    sweep.textContent = "Sweep the current";
  }

  function play(begin, now) {
    const done = Math.min(Math.max(now - begin, 0) / 1000 / SWEEP, 1);
    chosen.drive = drawn = DRIVE_FROM + done * (DRIVE_TO - DRIVE_FROM);
    follow();
    redraw();
    if (done < 1) playing = requestAnimationFrame((later) => play(begin, later));
    else stop();
  }

  const sweep = section.querySelector("#curve-sweep");
  sweep.addEventListener("click", () => {
    if (playing) return stop(), redraw();
    sweep.textContent = "Stop";
    if (!still()) return play(performance.now(), performance.now());
    playing = 1; // less motion: the whole curve at once
    play(-1e6, 0);
  });

  const models = Object.fromEntries(Object.keys(CURVE_PARAMETERS).map((name) => [name, MODEL_TITLES[name]]));
  controls(part("model"), "curve", [choice("model", "Model", models)], chosen, () => {
    stop();
    showModel();
  });
  showModel();
}

function curveLane(width, high, rates, drawn, pen) {
  const sides = { left: 44, right: width - 10, x: [DRIVE_FROM, DRIVE_TO], y: [-0.06, 1.56] };
  const made = lane({
    ...sides, top: 28, height: high - 32, title: "Firing rate (spikes per step)",
    xTicks: 4, yTicks: 4, xTitle: "current at the membrane (thresholds per step)",
  });
  const line = (kind, rate) => shape("path", { class: kind, d: path(DRIVES.map((d) => [made.x(d), made.y(rate(d))])) });
  const past = DRIVES.flatMap((d, k) => (d <= drawn + 1e-9 ? [[made.x(d), made.y(Math.min(rates[k], 1.56))]] : []));
  made.group.append(
    shape("path", { class: "rate line", d: path(past) }),
    line("relu", (d) => Math.max(d, 0)),
    line("clipped", clip),
    shape("line", { class: "struck", x1: made.x(pen[0]), x2: made.x(pen[0]), y1: made.y(-0.06), y2: made.y(Math.min(pen[1], 1.56)) }),
    shape("circle", { class: "pen", cx: made.x(pen[0]), cy: made.y(Math.min(pen[1], 1.56)), r: 6 }),
  );
  return made.group;
}

// The spikes behind the point where the pen stands.
function rasterLane(width, top, { spikes }) {
  const made = lane({
    title: "The spikes at this current", top: top + 20, height: 22, left: 44, right: width - 10,
    x: [0, spikes.length], y: [0, Math.max(1, ...spikes)], yTicks: 1, xTicks: Math.min(spikes.length, 8), xTitle: "timestep",
  });
  spikes.forEach((many, t) => {
    const at = made.x(t + 0.5);
    if (many) made.group.append(shape("line", { class: "spike", x1: at, x2: at, y1: made.y(0), y2: made.y(many) }));
  });
  return made.group;
}
