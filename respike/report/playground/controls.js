// Controls made from descriptions such as those in models.js: a range, a choice or a toggle, each with its label.

const control = {
  range({ label, min, max, step }, id, value, change) {
    const input = element("input", { type: "range", id, min, max, step, value });
    const shown = element("span", { class: "value", "aria-hidden": "true" });
    const show = () => {
      shown.textContent = short(Number(input.value));
      input.style.setProperty("--filled", `${(100 * (input.value - min)) / (max - min)}%`);
    };
    input.addEventListener("pen", show); // moved by a drawing, not by hand
    input.addEventListener("input", () => {
      show();
      change(Number(input.value));
    });
    show();
    return element("div", { class: "control range" }, [element("label", { for: id }, label), shown, input]);
  },
  choice({ label, options }, id, value, change) {
    const input = element("select", { id });
    for (const [name, words] of Object.entries(options)) input.append(element("option", { value: name }, words));
    input.value = value;
    input.addEventListener("change", () => change(input.value));
    return element("div", { class: "control choice" }, [element("label", { for: id }, label), input]);
  },
  toggle({ label }, id, value, change) {
    const input = element("input", { type: "checkbox", role: "switch", id });
    input.checked = value;
    input.addEventListener("change", () => change(input.checked));
    return element("div", { class: "control toggle" }, [input, element("label", { for: id }, label)]);
  },
};

// Put a control for each description into a box. `values` is changed in place, then `changed(name)` is called.
function controls(box, prefix, descriptions, values, changed) {
  const rows = descriptions.map((one) => {
    const row = control[one.kind](one, `${prefix}-${one.name}`, values[one.name], (value) => {
      values[one.name] = value;
      hide();
      changed(one.name);
    });
    row.dataset.name = one.name;
    return row;
  });
  function hide() { // a control that means nothing under the present choice leaves, and leaves the tab order too
    descriptions.forEach(({ when }, k) => { rows[k].hidden = when ? !when(values) : false; });
  }
  hide();
  box.replaceChildren(...rows);
}

const MODEL_TITLES = Object.fromEntries(Object.entries(MODELS).map(([name, { title }]) => [name, title]));
