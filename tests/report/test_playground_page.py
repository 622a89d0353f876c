"""The playground in a browser: its controls work, by key and on a small screen, and it looks after its readers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from driving import CONTRAST, ask, picture, press

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

keys = pytest.importorskip("selenium.webdriver").Keys

from plot_playground import prefer, resize  # noqa: E402

pytestmark = pytest.mark.slow

SHOWN = "[...document.querySelectorAll('a, button, input, select')].filter(e => e.checkVisibility())"
KEY_OF = "(e => e.id || e.getAttribute('href'))"


def moves(page: Chrome, part: str, name: str) -> None:
    """The control that has the focus changes the drawing, and goes back to where it was."""
    kind = page.execute_script("return document.activeElement.type")
    before = picture(page, part)
    if name.endswith("-amplitude"):
        press(page, keys.END)  # strongly driven, so that every parameter counts; it stays there
    else:
        there, back = {"checkbox": (" ", " "), "select-one": (keys.DOWN, keys.UP)}.get(kind, (keys.RIGHT, keys.LEFT))
        press(page, there)
        assert page.execute_script("return document.activeElement.id") == name  # which dragging must not lose
        if picture(page, part) == before and kind == "range":  # at its end
            there, back = back, there
            press(page, there)
        after = picture(page, part)
        press(page, back)
        assert after != before, name
        return
    assert picture(page, part) != before, name


def test_tab_reaches_every_control_in_order_and_each_works_by_key(page: Chrome) -> None:
    shown = ask(page, f"{SHOWN}.map({KEY_OF})")
    assert len(shown) == len(set(shown)) > 25
    unlabelled = f"{SHOWN}.filter(e => e.matches('input, select') && !e.labels.length).map({KEY_OF})"
    assert ask(page, unlabelled) == []
    reached = []
    for _ in shown:
        press(page, keys.TAB)
        reached.append(name := page.execute_script(f"return {KEY_OF}(document.activeElement)"))
        part = name.split("-")[0]
        if part in ("stimulus", "neuron") or name == "bench-model":
            moves(page, "bench", name)
        elif part == "curve" and name != "curve-sweep":
            moves(page, "curve", name)
    assert reached == shown


def test_what_is_drawn_is_what_the_page_computes(page: Chrome) -> None:
    settings = {"model": "LIF", "stimulus": {"kind": "step", "timesteps": 100, "amplitude": 1.5, "start": 10}}
    trace = ask(page, "respike.trace(arguments[0])", settings)
    assert ask(page, "document.querySelectorAll('#bench .spike').length") == sum(trace["spikes"]) == 8
    path = ask(page, "document.querySelector('.membrane').getAttribute('d')")
    x, y = np.array([point.split() for point in path[1:].split("L")], float).T
    for drawn, values in ((x, np.arange(1, 101)), (y, np.array(trace["membrane"]))):
        line = np.polyfit(values, drawn, 1)
        assert np.abs(np.polyval(line, values) - drawn).max() < 0.02  # of a pixel


def test_the_bucket_fills_leaks_fires_and_stands_still_when_told(page: Chrome) -> None:
    def words() -> list[str]:
        return ask(page, "[...document.querySelectorAll('.bucket figcaption')].map(e => e.textContent)")

    def by_id(name: str) -> Any:
        return page.find_element("id", name)

    def level() -> str:
        return ask(page, "document.querySelector('.bucket svg').getAttribute('aria-label')")

    assert words() == ["τ = 3 s0 spikes"]
    by_id("bucket-add").click()
    by_id("bucket-add").send_keys(keys.ENTER)
    assert words() == ["τ = 3 s1 spike"]  # 0.8 of a bucket was in it
    press(page, *"wwww")
    page.find_element("css selector", ".bucket svg").click()
    assert words() == ["τ = 3 s2 spikes"]
    by_id("bucket-pause").send_keys(" ")
    by_id("bucket-add").click()
    before = level()
    page.execute_async_script("setTimeout(arguments[0], 300)")
    assert level() == before
    by_id("bucket-pause").send_keys(" ")
    page.execute_async_script("setTimeout(arguments[0], 600)")
    assert level() != before
    by_id("bucket-tau").send_keys(keys.END)
    by_id("bucket-flow").send_keys(keys.END)
    assert words()[0].startswith("τ = 10 s")
    assert "fires again and again" in ask(page, "document.querySelector('#bucket .reading').textContent")
    by_id("bucket-three").click()
    assert [line.partition(" s")[0] for line in words()] == ["τ = 1", "τ = 3", "τ = 9"]
    for _ in range(4):
        by_id("bucket-add").click()
    assert all(line.endswith("1 spike") for line in words())


def test_every_parameter_of_every_model_changes_the_drawings(page: Chrome) -> None:
    """By script, which is quicker than by key: each control is moved and must move the picture."""
    code = """
      const idle = [];
      const find = (name) => document.getElementById(name);
      const look = (part) => document.querySelector(`#${part} .picture`).innerHTML;
      const set = (input, value) => {
        if (input.type === "checkbox") input.checked = value; else input.value = value;
        input.dispatchEvent(new Event(input.matches("[type=range]") ? "input" : "change"));
      };
      const others = (input) => input.matches("select") ? [...input.options].map((o) => o.value)
        : input.type === "checkbox" ? [!input.checked] : [input.min, input.max];
      for (const [part, prefix] of [["bench", "neuron"], ["curve", "curve"]]) {
        for (const { value: model } of find(`${part}-model`).options) {
          set(find(`${part}-model`), model);
          const strong = [["stimulus-amplitude", 1e9], ["neuron-norm_input", false], ["curve-timesteps", 128]];
          for (const [name, value] of strong) if (find(name)) set(find(name), value); // so that every parameter counts
          for (const { name } of respike.models[model].parameters) {
            const input = find(`${prefix}-${name}`);
            if (!input) continue;
            if (name === "reset_value") set(find(`${prefix}-reset`), "value");
            const [before, old] = [look(part), input.type === "checkbox" ? input.checked : input.value];
            const moved = others(input).some((other) => (set(input, other), look(part) !== before));
            if (!moved || !input.checkVisibility()) idle.push([part, model, name]);
            set(input, old);
            if (name !== "reset_value") continue;
            set(find(`${prefix}-reset`), "subtract");
            if (input.checkVisibility()) idle.push([part, model, name, "is still there"]);
          }
        }
      }
      return JSON.stringify(idle);"""
    assert json.loads(page.execute_script(code)) == []


def test_each_stimulus_has_its_own_controls(page: Chrome) -> None:
    kind = page.find_element("id", "stimulus-kind")
    assert kind.get_attribute("value") == "step"
    for words, names in (
        ("pulses", ["amplitude", "start", "width", "period"]),
        ("a spike train, seeded", ["amplitude", "chance", "seed"]),
        ("noise, seeded", ["amplitude", "spread", "seed"]),
    ):
        page.find_element("id", "stimulus-kind").send_keys(words[0] if words[0] != "a" else words)
        for name in names:
            before = picture(page, "bench")
            page.find_element("id", f"stimulus-{name}").send_keys(keys.RIGHT)
            assert picture(page, "bench") != before, (words, name)


def test_the_sweep_draws_the_curve_from_left_to_right(page: Chrome) -> None:
    length = "document.querySelector('.rate.line').getTotalLength()"
    whole, sweep = ask(page, length), page.find_element("id", "curve-sweep")
    sweep.click()
    page.execute_async_script("setTimeout(arguments[0], 700)")
    part = ask(page, length)
    assert part < 0.6 * whole and sweep.text == "Stop"
    page.execute_async_script("setTimeout(arguments[0], 500)")
    assert part < ask(page, length) < whole
    sweep.click()
    assert ask(page, length) == pytest.approx(whole) and sweep.text == "Sweep the current"


def test_less_motion_means_no_animation(page: Chrome) -> None:
    prefer(page, color_scheme="light", reduced_motion="reduce")
    page.find_element("id", "curve-sweep").click()
    assert page.find_element("id", "curve-drive").get_attribute("value") == "1.5"
    assert page.find_element("id", "curve-sweep").text == "Sweep the current"
    page.find_element("id", "bucket-add").click()
    assert ask(page, "document.getAnimations().map(a => a.animationName).filter(n => n !== 'cry')") == []


def test_light_and_dark_both_have_contrast_and_differ(page: Chrome) -> None:
    papers = []
    for scheme in ("light", "dark"):
        prefer(page, color_scheme=scheme)
        assert json.loads(page.execute_script(CONTRAST)) == []
        papers.append(ask(page, "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))
    assert min(papers[0]) > 220 and max(papers[1]) < 50


def test_a_narrow_screen_needs_no_sideways_scrolling(page: Chrome) -> None:
    resize(page, 360, 740, mobile=True)
    page.find_element("id", "bucket-three").click()
    for part in ("bench", "curve"):
        for model in ask(page, f"[...document.getElementById('{part}-model').options].map(o => o.value)"):
            page.execute_script(
                "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
                "e.dispatchEvent(new Event('change'))",
                f"{part}-model",
                model,
            )
            assert ask(page, "[document.documentElement.scrollWidth, innerWidth]") == [360, 360], (part, model)
    beyond = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 361)"
    assert ask(page, f"{beyond}.map(e => e.outerHTML)") == []
