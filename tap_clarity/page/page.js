"use strict";
// Draws what is in #data. Colours are named there as in the style sheet, so that they follow the
// system's light or dark.
(() => {
  const sections = JSON.parse(document.getElementById("data").textContent);
  const narrow = matchMedia("(max-width: 40rem)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { responsive: true, displayModeBar: false };

  const find = (name, n) => document.getElementById(`${name}-${n}`);
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  // Names often differ only in their last letters: what is too long loses its middle.
  function short(text, most) {
    const letters = [...text];
    const tail = Math.floor(most / 3);
    if (letters.length <= most) return plain(text);
    return plain(`${letters.slice(0, most - tail - 1).join("")}…${letters.slice(-tail).join("")}`);
  }

  function coloured(value) {
    if (typeof value === "string" && value.startsWith("var(")) {
      return getComputedStyle(document.documentElement).getPropertyValue(value.slice(4, -1)).trim();
    }
    if (Array.isArray(value)) return value.map(coloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, coloured(each)]));
  }

  function drawSeries({ series }, n) {
    const { data, layout } = coloured(series.figure);
    const station = series.stations[find("pick", n).value];
    const [value, lone, raw, invalid] = data.slice(-4);
    if (station) {
      Object.assign(value, { y: station.value, name: short(station.label, narrow.matches ? 24 : 60) });
      for (const [trace, [x, y]] of [[lone, station.lone], [raw, station.raw], [invalid, station.invalid]]) {
        Object.assign(trace, { x, y, visible: x.length > 0 });
      }
    }
    if (narrow.matches) layout.dragmode = false; // a finger scrolls
    const shown = station ? data : data.slice(0, -4);
    Plotly.react(find("series", n), shown, layout, config);
  }

  function drawCalendar({ calendar }, n) {
    const { data, layout } = coloured(calendar.figure);
    const most = narrow.matches ? 16 : 34;
    layout.yaxis.ticktext = calendar.rows.map((row, at) => (at === 0 && calendar.rows.length > 1 ? `<b>${short(row, most)}</b>` : short(row, most)));
    layout.yaxis.automargin = true;
    Object.assign(layout.margin, { l: 10, b: 8 });
    if (narrow.matches) layout.xaxis.tickvals = layout.xaxis.tickvals.filter((_, at) => at % 2 === 0);
    const cells = calendar.cells.map((row, at) => row.map((cell) => [plain(calendar.rows[at]), ...cell]));
    Object.assign(data[0], { customdata: cells, ...(narrow.matches && { texttemplate: "" }) });
    Plotly.react(find("calendar", n), data, layout, config);
  }

  function draw() {
    sections.forEach(drawSeries);
    sections.forEach(drawCalendar);
  }

  sections.forEach((section, n) => {
    const pick = find("pick", n);
    const { stations, figure } = section.series;
    stations.forEach(({ label }, at) => pick.add(new Option(label, at)));
    if (figure.data.length > 4) pick.add(new Option("none, all stations only", -1), 0);
    pick.value = 0;
    pick.addEventListener("change", () => drawSeries(section, n));
  });
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
