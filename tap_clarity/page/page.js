"use strict";
// Draws the charts of #data. Their colours are variables of the style sheet, so that they follow the
// system's light or dark mode.
(() => {
  const sections = JSON.parse(document.getElementById("data").textContent);
  const narrow = matchMedia("(max-width: 40rem)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { responsive: true, displayModeBar: false };

  const element = (name, n) => document.getElementById(`${name}-${n}`);
  const escapeHtml = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  // Names often differ only in their last letters, so long ones are shortened in the middle.
  function shorten(text, maxLength) {
    const letters = [...text];
    const tail = Math.floor(maxLength / 3);
    if (letters.length <= maxLength) return escapeHtml(text);
    return escapeHtml(`${letters.slice(0, maxLength - tail - 1).join("")}…${letters.slice(-tail).join("")}`);
  }

  function resolveColours(value) {
    if (typeof value === "string" && value.startsWith("var(")) {
      return getComputedStyle(document.documentElement).getPropertyValue(value.slice(4, -1)).trim();
    }
    if (Array.isArray(value)) return value.map(resolveColours);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, resolveColours(each)]));
  }

  function drawSeries({ series }, n) {
    const { data, layout } = resolveColours(series.figure);
    const station = series.stations[element("station-select", n).value];
    const [value, isolated, raw, invalid] = data.slice(-4);
    if (station) {
      Object.assign(value, { y: station.value, name: shorten(station.label, narrow.matches ? 24 : 60) });
      for (const [trace, [x, y]] of [[isolated, station.isolated], [raw, station.raw], [invalid, station.invalid]]) {
        Object.assign(trace, { x, y, visible: x.length > 0 });
      }
    }
    if (narrow.matches) layout.dragmode = false; // a finger scrolls
    const traces = station ? data : data.slice(0, -4);
    Plotly.react(element("series", n), traces, layout, config);
  }

  function drawCalendar({ calendar }, n) {
    const { data, layout } = resolveColours(calendar.figure);
    const maxLength = narrow.matches ? 16 : 34;
    layout.yaxis.ticktext = calendar.rows.map((row, at) => (at === 0 && calendar.rows.length > 1 ? `<b>${shorten(row, maxLength)}</b>` : shorten(row, maxLength)));
    layout.yaxis.automargin = true;
    Object.assign(layout.margin, { l: 10, b: 8 });
    if (narrow.matches) layout.xaxis.tickvals = layout.xaxis.tickvals.filter((_, at) => at % 2 === 0);
    const cells = calendar.cells.map((row, at) => row.map((cell) => [escapeHtml(calendar.rows[at]), ...cell]));
    Object.assign(data[0], { customdata: cells, ...(narrow.matches && { texttemplate: "" }) });
    Plotly.react(element("calendar", n), data, layout, config);
  }

  function draw() {
    sections.forEach(drawSeries);
    sections.forEach(drawCalendar);
  }

  sections.forEach((section, n) => {
    const select = element("station-select", n);
    const { stations, figure } = section.series;
    stations.forEach(({ label }, at) => select.add(new Option(label, at)));
    if (figure.data.length > 4) select.add(new Option("none, all stations only", -1), 0);
    select.value = 0;
    select.addEventListener("change", () => drawSeries(section, n));
  });
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
