"use strict";
// Arrays arrive as 16-bit integers in base64, in the order of their dimensions, the last one fastest:
// value = offset + scale * integer.  A view names the axes that are shown, and for every other axis a grid
// point ("cut") or null ("averaged over").

const NOTE_NEGATIVE = 0.02; // as in the figures: a smaller negative part is a ripple, not a sign

/** Decode the numbers of a variable. */
function decode(variable) {
  if (variable.values) return Float64Array.from(variable.values);
  const text = atob(variable.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = variable.offset + variable.scale * view.getInt16(2 * i, true);
  return values;
}

/** Distances in memory between neighbours along each dimension. */
function strides(shape) {
  const found = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) found[i] = found[i + 1] * shape[i + 1];
  return found;
}

/**
 * What a view shows at one time: rows[vertical][horizontal], or a single row if one axis is shown.
 * shown: names of the horizontal and (optionally) the vertical axis; fixed: {axis: index, or null to average}.
 */
function plane(variable, values, timeIndex, shown, fixed) {
  const step = strides(variable.shape);
  const along = name => variable.dims.indexOf(name);
  let start = timeIndex * step[0];
  let hidden = [0]; // memory offsets that are averaged over
  variable.dims.forEach((name, i) => {
    if (i === 0 || shown.includes(name)) return;
    if (fixed[name] === null || fixed[name] === undefined) {
      const next = [];
      for (const offset of hidden) for (let j = 0; j < variable.shape[i]; j++) next.push(offset + j * step[i]);
      hidden = next;
    } else start += fixed[name] * step[i];
  });
  const [h, v] = [along(shown[0]), shown.length > 1 ? along(shown[1]) : -1];
  const rows = [];
  for (let j = 0; j < (v < 0 ? 1 : variable.shape[v]); j++) {
    const row = new Array(h < 0 ? 1 : variable.shape[h]);
    for (let i = 0; i < row.length; i++) {
      const here = start + (h < 0 ? 0 : i * step[h]) + (v < 0 ? 0 : j * step[v]);
      let sum = 0;
      for (const offset of hidden) sum += values[here + offset];
      row[i] = sum / hidden.length;
    }
    rows.push(row);
  }
  return rows;
}

/** Smallest and largest value of a view over the given times. */
function extrema(variable, values, timeIndices, shown, fixed) {
  let [low, high] = [Infinity, -Infinity];
  for (const t of timeIndices)
    for (const row of plane(variable, values, t, shown, fixed))
      for (const value of row) { low = Math.min(low, value); high = Math.max(high, value); }
  return [low, high];
}

/** Diverging and symmetric if values of both signs matter, sequential from zero otherwise. */
function colourScale([low, high]) {
  const largest = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (low < 0 && Math.min(-low, Math.max(high, 0)) > NOTE_NEGATIVE * largest)
    return { colorscale: "RdBu", reversescale: true, zmin: -largest, zmax: largest };
  return { colorscale: "Viridis", reversescale: false, zmin: high > 0 ? 0 : low, zmax: high > 0 ? high : 0 };
}

/** Index of the value nearest to a number. */
function nearest(list, number) {
  let best = 0;
  list.forEach((value, i) => { if (Math.abs(value - number) < Math.abs(list[best] - number)) best = i; });
  return best;
}

/** Axes on which one starts: the first position beside the first momentum, or the first two there are. */
function usualAxes(variable) {
  const free = variable.dims.filter(name => name !== "time" && name !== "band");
  const k = free.filter(name => name.startsWith("k")), x = free.filter(name => !name.startsWith("k"));
  return x.length && k.length ? [x[0], k[0]] : free.slice(0, 2);
}

if (typeof module !== "undefined") module.exports = { colourScale, decode, extrema, nearest, plane, strides, usualAxes };

// ---------------------------------------------------------------- the page

function startViewer(data) {
  const byId = id => document.getElementById(id);
  const decoded = new Map(), limits = new Map();
  const state = { variable: data.variables[0], shown: [], fixed: {}, point: null, time: data.times[0], playing: null };
  const values = () => {
    if (!decoded.has(state.variable.name)) decoded.set(state.variable.name, decode(state.variable));
    return decoded.get(state.variable.name);
  };
  const timeIndex = () => nearest(state.variable.times, state.time);
  const points = name => data.axes[name].values;

  function globalLimits() {
    const key = JSON.stringify([state.variable.name, state.shown, state.fixed]);
    if (!limits.has(key)) {
      const all = state.variable.times.map((_, i) => i);
      limits.set(key, extrema(state.variable, values(), all, state.shown, state.fixed));
    }
    return limits.get(key);
  }

  function chooseVariable(variable) {
    state.variable = variable;
    state.shown = usualAxes(variable);
    state.fixed = {};
    state.point = null;
    if (variable.dims.includes("band")) state.fixed.band = 0;
    drawControls();
    draw();
  }

  function select(id, label, options, chosen, onChange) {
    const box = document.createElement("label");
    box.textContent = label;
    const menu = document.createElement("select");
    menu.id = id;
    for (const [value, text] of options) menu.add(new Option(text, value, false, value === chosen));
    menu.onchange = () => onChange(menu.value);
    box.append(menu);
    return box;
  }

  function cutControl(name) {
    const box = document.createElement("div");
    box.className = "cut";
    const title = document.createElement("span"), slider = document.createElement("input");
    const describe = () => {
      const cut = state.fixed[name];
      title.innerHTML = cut === null || cut === undefined ? `${data.axes[name].label}: averaged`
        : `${data.axes[name].label} = ${+points(name)[cut].toPrecision(4)}`;
    };
    Object.assign(slider, { type: "range", id: `cut-${name}`, min: 0, max: points(name).length - 1, ariaLabel: `cut ${name}` });
    slider.value = state.fixed[name] ?? Math.floor(points(name).length / 2);
    slider.oninput = () => {
      state.fixed[name] = +slider.value;
      if (average) average.checked = false;
      describe();
      draw();
    };
    let average = null;
    box.append(title, slider);
    if (name !== "band") {
      const label = document.createElement("label");
      average = Object.assign(document.createElement("input"), { type: "checkbox", id: `average-${name}` });
      average.checked = state.fixed[name] === null || state.fixed[name] === undefined;
      average.onchange = () => { state.fixed[name] = average.checked ? null : +slider.value; describe(); draw(); };
      label.append(average, " average");
      box.append(label);
    }
    describe();
    return box;
  }

  function drawControls() {
    const box = byId("controls"), variable = state.variable;
    const free = variable.dims.filter(name => name !== "time" && name !== "band");
    const names = data.variables.map(each => [each.name, each.title]);
    box.replaceChildren(select("variable", "quantity", names, variable.name,
      name => chooseVariable(data.variables.find(each => each.name === name))));
    const swap = (place, name) => {
      const other = 1 - place;
      if (state.shown[other] === name) state.shown[other] = state.shown[place];
      state.shown[place] = name;
      if (!name) state.shown = [state.shown[0]];
      for (const axis of state.shown) delete state.fixed[axis];
      state.point = null;
      drawControls();
      draw();
    };
    const options = free.map(name => [name, name]);
    if (free.length) box.append(select("horizontal", "horizontal axis", options, state.shown[0], name => swap(0, name)));
    if (free.length > 1)
      box.append(select("vertical", "vertical axis", [...options, ["", "none (a curve)"]], state.shown[1] ?? "", name => swap(1, name)));
    for (const name of variable.dims)
      if (name !== "time" && !state.shown.includes(name) && points(name).length > 1) box.append(cutControl(name));
  }

  function axis(name, extra) {
    const about = data.axes[name], halves = {};
    if (about.momentum) Object.assign(halves, {
      tickvals: [-1, -0.5, 0, 0.5, 1].map(half => half * Math.PI), ticktext: ["−π", "−π/2", "0", "π/2", "π"],
    });
    return { title: { text: about.label }, zeroline: false, ...halves, ...extra };
  }

  function figure() {
    const variable = state.variable, rows = plane(variable, values(), timeIndex(), state.shown, state.fixed);
    const shared = { margin: { l: 65, r: 20, t: 15, b: 55 }, font: { size: 14 }, showlegend: false, hovermode: "closest" };
    const range = ([low, high]) => { const pad = 0.05 * (high - low || 1); return [low - pad, high + pad]; };
    const line = { mode: "lines", line: { color: "#0072B2", width: 2 } };
    if (state.shown.length === 0) {
      const all = variable.times.map((_, i) => plane(variable, values(), i, [], state.fixed)[0][0]);
      const now = variable.times[timeIndex()];
      return [[{ ...line, x: variable.times, y: all }],
        { ...shared, xaxis: { title: { text: data.time_label } }, yaxis: { title: { text: variable.label } },
          shapes: [{ type: "line", xref: "x", yref: "paper", x0: now, x1: now, y0: 0, y1: 1, line: { color: "#555", width: 1.5 } }] }];
    }
    const bounds = byId("frame-limits").checked ? extrema(variable, values(), [timeIndex()], state.shown, state.fixed) : globalLimits();
    const [h, v] = state.shown, x = points(h);
    if (!v) return [[{ ...line, x, y: rows[0] }],
      { ...shared, xaxis: axis(h), yaxis: { title: { text: variable.label }, range: range(bounds) } }];
    const y = points(v);
    if (!state.point) {
      let [i, j] = [0, 0];
      rows.forEach((row, b) => row.forEach((value, a) => { if (Math.abs(value) > Math.abs(rows[j][i])) [i, j] = [a, b]; }));
      state.point = [i, j];
    }
    const [i, j] = state.point, cross = { color: "rgba(255,255,255,0.7)", width: 1, dash: "dot" };
    const where = { layer: "above", type: "line", line: cross };
    return [[
      { type: "heatmap", x, y, z: rows, zsmooth: "best", ...colourScale(bounds), colorbar: { title: { text: variable.label, side: "right" }, x: 1.0, len: 0.62, y: 1, yanchor: "top" } },
      { ...line, x, y: rows[j], xaxis: "x", yaxis: "y2" },
      { ...line, x: rows.map(row => row[i]), y, xaxis: "x2", yaxis: "y" },
    ], { ...shared,
      xaxis: axis(h, { domain: [0, 0.68], anchor: "y2", range: [x[0], x[x.length - 1]] }),
      yaxis: axis(v, { domain: [0.38, 1], range: [y[0], y[y.length - 1]] }),
      xaxis2: { domain: [0.74, 1], anchor: "y", range: range(bounds), title: { text: `at ${data.axes[h].symbol} = ${x[i].toPrecision(3)}` } },
      yaxis2: { domain: [0, 0.28], anchor: "x", range: range(bounds), title: { text: `at ${data.axes[v].symbol} = ${y[j].toPrecision(3)}` } },
      shapes: [{ ...where, xref: "x", yref: "y", x0: x[i], x1: x[i], y0: y[0], y1: y[y.length - 1] },
        { ...where, xref: "x", yref: "y", x0: x[0], x1: x[x.length - 1], y0: y[j], y1: y[j] }],
    }];
  }

  function draw() {
    const [traces, layout] = figure();
    const now = state.variable.times[timeIndex()];
    byId("clock").innerHTML = `<i>t</i> = ${+now.toPrecision(5)} ${data.time_units}`;
    const done = Plotly.react("picture", traces, layout, { responsive: true, displaylogo: false });
    const picture = byId("picture");
    if (!picture.dataset.listens) {
      picture.dataset.listens = "yes";
      picture.on("plotly_click", event => {
        const hit = event.points[0];
        if (hit.data.type !== "heatmap") return;
        state.point = [nearest(points(state.shown[0]), hit.x), nearest(points(state.shown[1]), hit.y)];
        draw();
      });
    }
    return done;
  }

  function setTime(index) {
    const n = data.times.length;
    byId("time").value = ((index % n) + n) % n;
    state.time = data.times[+byId("time").value];
    return draw();
  }

  function play(on) {
    clearInterval(state.playing);
    state.playing = on ? setInterval(() => setTime(+byId("time").value + 1), 120) : null;
    byId("play").textContent = on ? "❚❚ pause" : "▶ play";
  }

  byId("time").max = data.times.length - 1;
  byId("time").oninput = () => { play(false); setTime(+byId("time").value); };
  byId("play").onclick = () => play(state.playing === null);
  byId("frame-limits").onchange = draw;
  document.onkeydown = event => {
    if (event.target.tagName === "INPUT" || event.target.tagName === "SELECT") return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) setTime(+byId("time").value + step);
    if (event.key === " ") { event.preventDefault(); play(state.playing === null); }
  };
  chooseVariable(state.variable);
  return { state, setTime, draw };
}
