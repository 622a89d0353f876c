// One bucket as a picture: walls, water, what runs in and what runs out.

const BRIM = 52; // where the walls end above and below, and half their width there
const FLOOR = 176;
const [WIDE, NARROW] = [58, 40];
const MIDDLE = 100;
const surface = (level) => ({ y: FLOOR - level * (FLOOR - BRIM), half: NARROW + level * (WIDE - NARROW) });

// The space below the surface: a cone with a round floor.
function filled(level) {
  const { y, half } = surface(level);
  return `M${MIDDLE - half} ${y}L${MIDDLE - NARROW} ${FLOOR}A${NARROW} 8 0 0 0 ${MIDDLE + NARROW} ${FLOOR}L${MIDDLE + half} ${y}Z`;
}

function bucketPicture(number) {
  const inflow = shape("rect", { class: "water stream", y: 0 });
  const outflow = shape("rect", { class: "water stream", y: FLOOR + 7, height: 34 });
  const hole = shape("ellipse", { class: "hole", cx: MIDDLE, cy: FLOOR + 7, ry: 2.5 });
  const body = shape("path", { class: "water" });
  const top = shape("ellipse", { class: "surface", cx: MIDDLE });
  const splash = shape("path", { class: "water splash", d: `M${MIDDLE} 0q11 17 0 24q-11 -7 0 -24` });
  const cry = text(MIDDLE, 24, "spike!", { class: "cry", "text-anchor": "middle" });
  const rim = { cx: MIDDLE, cy: BRIM, rx: WIDE, ry: 9 };
  const vessel = shape("g", { class: "vessel" }, [
    shape("path", { class: "inside", d: filled(1) }),
    shape("ellipse", { class: "inside", ...rim }),
    body,
    top,
    hole,
    shape("path", { class: "wall", d: filled(1).replace("Z", "") }),
    shape("ellipse", { class: "rim", ...rim }),
  ]);
  const brim = [
    shape("line", { class: "threshold", x1: 20, x2: 180, y1: BRIM, y2: BRIM }),
    text(184, BRIM, "θ", { class: "note", dy: "0.32em" }),
  ];
  const picture = shape("svg", { viewBox: "0 0 200 224", role: "img" }, [outflow, inflow, vessel, ...brim, splash, cry]);
  const caption = element("figcaption");
  const figure = element("figure", { class: "bucket" }, [picture, caption]);

  // Restarts an animation; style sheets of people who want less motion leave it out.
  function animate(what) {
    figure.classList.remove(what);
    void figure.getBoundingClientRect();
    figure.classList.add(what);
  }

  return {
    figure,
    fall: () => animate("falls"),
    tip: () => animate("tips"),
    show({ level, tau, spikes }, flow) {
      const { y, half } = surface(Math.min(level, 1));
      const wide = { inflow: 14 * flow, outflow: (15 * level) / tau, hole: 3 + 7 / Math.sqrt(tau) };
      body.setAttribute("d", level > 0.003 ? filled(Math.min(level, 1)) : "");
      for (const [name, value] of Object.entries({ cy: y, rx: half, ry: level > 0.003 ? 8 : 0 })) top.setAttribute(name, value);
      for (const [name, value] of Object.entries({ x: MIDDLE - wide.inflow / 2, width: wide.inflow, height: y })) {
        inflow.setAttribute(name, value);
      }
      outflow.setAttribute("x", MIDDLE - wide.outflow / 2);
      outflow.setAttribute("width", wide.outflow);
      hole.setAttribute("rx", wide.hole);
      caption.replaceChildren(element("b", {}, [element("span", { class: `key n${number}` }), `τ = ${short(tau)} s`]), element("span", {}, count(spikes, "spike")));
      picture.setAttribute("aria-label", `Bucket, τ = ${short(tau)} s, ${Math.round(100 * level)} % full, ${count(spikes, "spike")}`);
    },
  };
}
