// The bucket, in continuous time: between two pictures the level follows the exact solution of τ v′ = τ·flow − v.

const CUP = 0.3; // of a bucket, per press of the button
const SHOWN = 12; // seconds of history
const THREE = [1, 3, 9]; // seconds
const CLOSED = "The tap is closed: only the water that you add counts.";

function startBucket(section) {
  const part = (name) => section.querySelector(`.${name}`);
  const chosen = { tau: 3, flow: 0, three: false, paused: false };
  let [buckets, clock, running, last] = [[], 0, false, 0];
  const redraw = chart(part("picture"), 190, paint);

  function setUp() {
    const taus = chosen.three ? THREE : [chosen.tau];
    buckets = taus.map((tau, k) => ({ tau, level: 0, spikes: 0, history: [], picture: bucketPicture(k) }));
    part("buckets").replaceChildren(...buckets.map(({ picture }) => picture.figure));
    for (const { picture } of buckets) picture.figure.firstChild.addEventListener("click", add);
  }

  function fireIfFull(bucket) {
    if (bucket.level < 1) return;
    bucket.history.push([clock, 1, true]);
    bucket.level = 0;
    bucket.spikes += 1;
    bucket.picture.tip();
  }

  function add() {
    for (const bucket of buckets) {
      bucket.history.push([clock, bucket.level]);
      bucket.level += CUP;
      bucket.picture.fall();
      fireIfFull(bucket);
    }
    wake();
  }

  function advance(seconds) {
    clock += seconds;
    for (const bucket of buckets) {
      bucket.level = exponentialStep(bucket.level, chosen.flow * bucket.tau, seconds / bucket.tau);
      fireIfFull(bucket);
      bucket.history.push([clock, bucket.level]);
      while (bucket.history[0][0] < clock - SHOWN - 1) bucket.history.shift();
    }
    show();
  }

  // Time stands still where nothing moves any more.
  const rests = () => chosen.flow === 0 && buckets.every(({ history }) => history.every(([, level]) => level < 0.002));

  function wake() {
    show();
    if (running || chosen.paused) return;
    [running, last] = [true, performance.now()];
    requestAnimationFrame(frame);
  }

  function frame(now) {
    const passed = (now - last) / 1000;
    if (!still() || passed > 0.5) { // less motion: two pictures a second
      last = now;
      if (passed > 0) advance(Math.min(passed, still() ? 1 : 0.1)); // what a hidden page missed is left out
    }
    running = !chosen.paused && !rests();
    if (running) requestAnimationFrame(frame);
  }

  function show() {
    for (const bucket of buckets) bucket.picture.show(bucket, chosen.flow);
    redraw();
    part("reading").textContent = chosen.flow ? buckets.map(({ tau }) => told(chosen.flow, tau)).join(" ") : CLOSED;
  }

  function told(flow, tau) {
    const name = chosen.three ? `τ = ${short(tau)} s` : "The tap";
    const end = `flow × τ = ${short(flow * tau)}`;
    return flow * tau > 1 ? `${name}: ${end} is above the brim, so it fires again and again.` : `${name}: ${end} stays below the brim, so it never fires.`;
  }

  function paint(width, height) {
    const sides = { left: 44, right: width - 14, x: [-SHOWN, 0], y: [0, 1.08] };
    const made = lane({ ...sides, top: 28, height: height - 72, title: "Water level v", yTicks: 2, xTicks: 6, xTitle: "seconds ago" });
    made.group.append(
      shape("line", { class: "threshold", x1: sides.left, x2: sides.right, y1: made.y(1), y2: made.y(1) }),
      text(sides.right, made.y(1) - 6, "brim θ", { class: "note", "text-anchor": "end" }),
    );
    buckets.forEach(({ history }, k) => {
      const seen = history.filter(([at]) => at >= clock - SHOWN).map(([at, level, fired]) => [made.x(at - clock), made.y(level), fired]);
      made.group.append(shape("path", { class: `level line n${k}`, d: path(seen) }));
      for (const [x, y] of seen.filter(([, , fired]) => fired)) {
        made.group.append(shape("circle", { class: `fired n${k}`, cx: x, cy: y, r: 4.5 }));
      }
    });
    return { label: "Water level over the last seconds", marks: [made.group] };
  }

  const described = [
    range("tau", "Time constant τ (seconds)", 0.5, 10, 0.5, 3, { when: () => !chosen.three }),
    range("flow", "Tap (buckets per second)", 0, 1, 0.05, 0),
  ];
  const settings = () => controls(part("settings"), "bucket", described, chosen, (name) => {
    if (name === "tau") buckets[0].tau = chosen.tau;
    wake();
  });
  section.querySelector("#bucket-add").addEventListener("click", add);
  const three = section.querySelector("#bucket-three");
  three.addEventListener("click", () => {
    chosen.three = !chosen.three;
    three.setAttribute("aria-pressed", chosen.three);
    settings();
    setUp();
    wake();
  });
  const pause = section.querySelector("#bucket-pause");
  pause.addEventListener("click", () => {
    chosen.paused = !chosen.paused;
    pause.setAttribute("aria-pressed", chosen.paused);
    wake();
  });
  document.addEventListener("keydown", (event) => {
    const inside = section.contains(document.activeElement) || document.activeElement === document.body;
    if (event.key.toLowerCase() === "w" && inside && !event.ctrlKey && !event.metaKey && !event.altKey) add();
  });
  settings();
  setUp();
  buckets[0].level = 0.8; // so that there is something to see at once
  wake();
}
