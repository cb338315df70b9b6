// What the page adds to its text: sorting, filtering, charts, and the comparison of two conditions.

const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Tables

/** The number in a cell, in minutes if it is a time; null if there is none. */
function numberIn(text) {
  if (text === "less than a minute") return 0;
  const found = text.replaceAll(",", "").replace("−", "-").match(/^[+~]?(-?\d+(\.\d+)?)( h$)?/);
  return found ? Number(found[1]) * (found[3] ? 60 : 1) : null;
}

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const texts = new Map([...body.rows].map((row) => [row, row.cells[column].textContent.trim()]));
  const isNumeric = [...texts.values()].some((text) => numberIn(text) !== null)
    && [...texts.values()].every((text) => numberIn(text) !== null || text === "–" || text === "");
  const sign = direction === "ascending" ? 1 : -1;
  const sorted = [...body.rows].sort((first, second) => {
    const [one, other] = [texts.get(first), texts.get(second)];
    if (!isNumeric) return sign * one.localeCompare(other, "en", { numeric: true });
    const [a, b] = [numberIn(one), numberIn(other)];
    if (a === null || b === null) return (a === null) - (b === null);  // Unknown values are last either way.
    return sign * (a - b);
  });
  body.append(...sorted);
  for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", direction);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = element("button", { type: "button" }, ...header.childNodes);
    button.addEventListener("click", () =>
      sortBy(table, column, header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
    header.append(button);
  });
}

function makeFilterable(table) {
  const choices = [["Verdict", 1], ["Experiment", 2]].map(([label, column]) => {
    const values = new Set([...table.tBodies[0].rows].map((row) => row.cells[column].textContent));
    const select = element("select", { id: `filter-${column}` }, ...["all", ...values].map((value) => new Option(value)));
    return { field: element("div", {}, element("label", { htmlFor: select.id }, label), select), select, column };
  });
  const text = element("input", { type: "search" });
  const count = element("output");
  const controls = element("form", { className: "controls" }, element("label", {}, "Text", text), ...choices.map((choice) => choice.field));
  const update = () => {
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(text.value.toLowerCase())
        || choices.some(({ select, column }) => select.selectedIndex && row.cells[column].textContent !== select.value);
    }
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  };
  controls.addEventListener("input", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  table.parentElement.before(controls, count);
  update();
}

// Charts

function theme() {
  const styles = getComputedStyle(document.documentElement);
  const [text, line] = ["--text", "--line"].map((name) => styles.getPropertyValue(name).trim());
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: line },
    axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 400, labelFontSize: 12, titleFontSize: 12, labelLimit: 120 },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12, titleFontSize: 12, labelLimit: 190 },
    text: { color: text, fontSize: 12 },
  };
}

function embed(place, spec) {
  return vegaEmbed(place, { width: "container", ...spec, config: theme() }, {
    renderer: "svg",
    loader: { target: "_blank" },
    actions: { export: true, source: false, compiled: false, editor: false },
    tooltip: { theme: dark.matches ? "dark" : "light" },
  });
}

async function drawFigure(figure) {
  const { experiment, chart } = figure.dataset;
  const content = data.experiments[experiment];
  const specs = charts[chart](content, figure.clientWidth);
  if (!specs.length) return;
  const places = specs.map(() => element("div", { className: "chart" }));
  figure.querySelectorAll(".chart, .hint").forEach((old) => old.remove());
  figure.append(...places, element("p", { className: "hint" }, `${HINTS[chart](content)} ${cutHint(specs)}`.trim()));
  try {
    for (const [index, spec] of specs.entries()) {
      const description = figure.querySelector("img").alt;
      await embed(places[index], { description, ...spec });
    }
    figure.querySelector("img").hidden = true;
  } catch (error) {
    // The static figure remains.
    places.forEach((place) => place.remove());
    console.error(error);
  }
}

// Comparison of two conditions

const conditions = Object.values(data.experiments).flatMap(({ title, names, trials }) =>
  names.map((name) => ({ title, name, trials: new Map(trials.filter((row) => row.condition === name).map((row) => [row.seed, row])) })));

function fill(select, chosen) {
  const groups = new Map();
  conditions.forEach(({ title, name }, index) => {
    if (!groups.has(title)) groups.set(title, element("optgroup", { label: title }));
    groups.get(title).append(new Option(name, index, false, index === chosen));
  });
  select.append(...groups.values());
}

/** The names of two conditions, with their experiments if they are equal. */
const distinctNames = (one, other) =>
  [one, other].map(({ name, title }) => (one.name === other.name ? `${name} (${title})` : name));

function trialCell(trial) {
  const text = trial && known(trial.accuracy) ? two(trial.accuracy) : (trial?.status ?? "–");
  const label = trial?.url ? element("a", { href: trial.url, title: `Trial ${trial.key}, run ${trial.run}` }, text) : text;
  return element("td", {}, label);
}

function seedTable(one, other, rows) {
  const names = distinctNames(one, other);
  const head = ["Seed", ...names, "Difference", "Trials"].map((text) => element("th", { scope: "col" }, text));
  const body = rows.map(({ seed, first, second, shown }) =>
    element("tr", {}, element("th", { scope: "row" }, String(seed)), trialCell(first), trialCell(second), element("td", {}, shown),
      element("td", {}, element("code", {}, first?.key.slice(0, 8) ?? "–"), " ", element("code", {}, second?.key.slice(0, 8) ?? "–"))));
  const table = element("table", {}, element("caption", {}, `${names.join(" and ")} by seed`),
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  makeSortable(table);
  return table;
}

function findPair(one, other) {
  for (const [first, second, mean, low, high, seeds, paired] of data.pairs) {
    if (first === one && second === other) return { mean, low, high, seeds, paired };
    if (first === other && second === one) {
      const turned = (value) => (known(value) ? -value : null);
      return { mean: turned(mean), low: turned(high), high: turned(low), seeds, paired };
    }
  }
  return null;
}

async function compare(section) {
  const [first, second] = ["one", "other"].map((name) => Number(section.querySelector(`[name=${name}]`).value));
  const [one, other] = [conditions[first], conditions[second]];
  const [oneName, otherName] = distinctNames(one, other);
  const pair = findPair(first, second);
  const [status, chart, hint, table] = ["[role=status]", ".chart", ".hint", ".table"].map((selector) => section.querySelector(selector));
  chart.hidden = hint.hidden = table.hidden = !pair;
  if (!pair) {
    status.textContent = "Choose two different conditions.";
    return;
  }
  const seeds = [...new Set([...one.trials.keys(), ...other.trials.keys()])].sort((a, b) => a - b);
  const rows = seeds.map((seed) => {
    const [a, b] = [one.trials.get(seed), other.trials.get(seed)];
    const difference = a && b && known(a.accuracy) && known(b.accuracy) ? a.accuracy - b.accuracy : null;
    return { seed, first: a, second: b, difference, shown: two(difference) };
  });
  const mean = { ...pair, shown: two(pair.mean), interval: interval(pair) };
  const seedWord = pair.seeds === 1 ? "1 seed" : `${pair.seeds} seeds`;
  const spread = known(pair.low) ? `95 % interval ${mean.interval}; ` : "";
  status.textContent = known(pair.mean)
    ? `${oneName} − ${otherName}: ${mean.shown} points (${spread}${seedWord}${pair.seeds > 1 ? (pair.paired ? ", paired" : ", not paired") : ""})`
    : "There is no seed for which both conditions have a result.";
  table.replaceChildren(seedTable(one, other, rows));
  chart.hidden = hint.hidden = !known(pair.mean);
  if (chart.hidden) return;
  const spec = differenceChart(rows.filter((row) => known(row.difference)), mean);
  hint.textContent = cutHint([spec]);
  await embed(chart, { description: `Each seed's difference, and their mean with its 95 % interval: ${status.textContent}.`, ...spec });
}

// The page

for (const { trials } of Object.values(data.experiments)) {
  for (const trial of trials) trial.url = trial.run ? `${data.runs_address}#/runs/${trial.run}` : null;
}

// A table of two columns lists facts, whose order has a meaning.
[...document.querySelectorAll("main table")].filter((table) => table.tHead.rows[0].cells.length > 2).forEach(makeSortable);
document.querySelectorAll("[data-name=Verdicts]").forEach(makeFilterable);

const section = document.getElementById("compare");
const chooser = section.querySelector("form");
const shown = new Set();
if (conditions.length > 1) {
  section.querySelector(".unscripted").hidden = true;
  section.querySelector(".scripted").hidden = false;
  fill(chooser.elements.one, 0);
  fill(chooser.elements.other, 1);
  chooser.addEventListener("change", () => compare(section));
}

// Charts are drawn when they come near the window.
const watch = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting || shown.has(target)) continue;
    shown.add(target);
    target === section ? conditions.length > 1 && compare(section) : drawFigure(target);
  }
}, { rootMargin: "600px" });
document.querySelectorAll("figure[data-chart], #compare").forEach((figure) => watch.observe(figure));
dark.addEventListener("change", () => shown.forEach((target) => (target === section ? compare(section) : drawFigure(target))));

const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const reader = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(target.id).setAttribute("aria-current", "true");
    // The bar is always in the window, so that only the bar scrolls.
    links.get(target.id).scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}, { rootMargin: "-20% 0px -75% 0px" });
links.forEach((_, id) => reader.observe(document.getElementById(id)));

const unfold = () => document.querySelectorAll("details").forEach((details) => (details.open = true));
addEventListener("beforeprint", unfold);
addEventListener("hashchange", () => document.querySelector(`details${location.hash}`)?.setAttribute("open", ""));
