// Draw every chart into its place, in the order in which they stand. Colours are the style sheet's, by name, so they
// follow the scheme and the paper without being drawn again.
(async () => {
  "use strict";
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const options = { renderer: "svg", actions: false, tooltip: { theme: "page" } };
  let drawn = 0;
  for (const place of document.querySelectorAll("[data-chart]")) {
    await vegaEmbed(place, specs[place.dataset.chart], options);
    drawn += 1;
  }
  document.documentElement.dataset.drawn = drawn;

  // On paper nothing can be opened.
  const closed = new Set();
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) {
      closed.add(one);
      one.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
    closed.clear();
  });
})();
