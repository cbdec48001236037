// The sliders of "What would it cost?": each moves one number of a workload that begins as `streamscore estimate`'s.
"use strict";
(({ workload, prices, constants, sliders, switches }) => {
  const { bill, profileOf } = estimator(constants, prices);
  const STEPS = 1000;
  const byId = (id) => document.getElementById(id);
  const form = document.querySelector(".calculator form");
  const twoDigits = (value) => Number(value.toPrecision(2));
  const usd = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  const place = (s, value) => (s.log ? (STEPS * Math.log(value / s.low)) / Math.log(s.high / s.low) : value);
  const value = (s, at) => (s.log ? twoDigits(s.low * (s.high / s.low) ** (at / STEPS)) : at);
  const start = (s) => (s.name === "profile" ? Math.max(...workload.profile) : workload[s.name] ?? 0);

  function chosen() {
    const changed = {}, options = [];
    for (const s of sliders) {
      const is = value(s, Number(byId(`slide-${s.name}`).value));
      const given = byId(`slide-${s.name}`).dataset.moved ? is : start(s);
      byId(`is-${s.name}`).value = s.name === "batch" && !given ? "auto" : `${given.toLocaleString("en-US")} ${s.unit}`.trim();
      changed[s.name] = s.name === "profile" ? profileOf(given) : s.name === "batch" ? given || null : given;
      if (given !== start(s)) options.push(`${s.option} ${given}`);
    }
    for (const name of switches) {
      changed[name] = byId(`switch-${name}`).checked;
      if (changed[name]) options.push(`--${name.replace("_", "-")}`);
    }
    return [{ ...workload, ...changed }, options];
  }

  let rows = [], due = 0;
  const redraw = keptDrawn(byId("estimate-chart"), (width) => CHARTS.bars(
    width, rows.length ? rows : [{ label: "", value: 0 }], CHARTS.colour("one"), (x) => `$${d3.format(",.3~s")(x)}`));

  function update() {
    const [now, options] = chosen();
    const month = bill(now);
    const events = (month.total / month.perMillion) * 1e6;
    rows = Object.entries(month.byComponent).map(([label, is]) => ({ label, value: is, tip: `$${usd(is, 2)}` }))
      .sort((a, b) => b.value - a.value);
    byId("month").value = `$${usd(month.total, 2)}`;
    byId("per-million").value = `$${usd(month.perMillion, 4)}`;
    byId("shards").value = `${usd(month.lanes.events, 0)} shard${month.lanes.events > 1 ? "s" : ""}`;
    byId("command").textContent = ["streamscore estimate", ...options].join(" ");
    byId("bill").tBodies[0].replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr"), name = document.createElement("th");
      name.scope = "row";
      name.textContent = row.label;
      line.append(name);
      for (const text of [usd(row.value, 2), usd((row.value / events) * 1e6, 4)]) {
        const cell = line.insertCell();
        cell.className = "n";
        cell.textContent = text;
      }
      return line;
    }));
    cancelAnimationFrame(due);
    due = requestAnimationFrame(redraw);
  }

  function reset() {
    for (const s of sliders) {
      const slide = byId(`slide-${s.name}`);
      Object.assign(slide, s.log ? { min: 0, max: STEPS, step: 1 } : { min: s.low, max: s.high, step: s.step });
      slide.value = place(s, start(s));
      delete slide.dataset.moved;
    }
    for (const name of switches) byId(`switch-${name}`).checked = workload[name];
    update();
  }

  form.addEventListener("input", (event) => {
    event.target.dataset.moved = "yes";
    update();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    reset();
  });
  reset();
})(DATA.estimate);
