// The charts of the journal, as specifications of Vega-Lite. Each function gets the data of one experiment, and
// returns a list of panels, which is empty if there is nothing to draw.

// Okabe and Ito's palette, which can be told apart with any kind of colour vision, without black.
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left"];
const STEP = 48; // pixels between rows
const GREY = "#808080";
const VERDICTS = {
  supported: [COLORS[2], "circle"],
  "among the best": [COLORS[4], "triangle-up"],
  equivalent: [COLORS[0], "square"],
  contradicted: [COLORS[1], "cross"],
  undecided: [GREY, "diamond"],
};
const CURVES = {
  val_accuracy: "Validation accuracy (%)",
  train_accuracy: "Training accuracy, with dropout (%)",
  val_loss: "Validation loss (nats)",
  train_loss: "Training loss, with dropout (nats)",
};

const known = (value) => value !== null;
const quantitative = (field, title, domain) =>
  ({ field, title, type: "quantitative", axis: { tickCount: 6 }, scale: { nice: false, domain } });
const two = (value) => (known(value) ? value.toFixed(2).replace(/^-(?!0\.00$)/, "−").replace(/^-/, "") : "–");
const interval = (row) => (known(row.low) ? `${two(row.low)} to ${two(row.high)}` : "unknown");

/** Ends of an axis that shows all values, and of long intervals only the part beside them. */
function limits(values, rows) {
  const shown = values.filter(known);
  const reach = Math.max(Math.max(...shown) - Math.min(...shown), 1e-3);
  const first = Math.min(...shown) - reach;
  const last = Math.max(...shown) + reach;
  const ends = rows.flatMap((row) => [row.low, row.high]).filter(known);
  const all = [...shown, ...ends.map((end) => Math.min(Math.max(end, first), last))];
  const room = 0.04 * (Math.max(...all) - Math.min(...all)) || 0.5;
  return [Math.min(...all) - room, Math.max(...all) + room];
}

/** The ends of intervals that leave the axis, at the place where they do. */
const cutEnds = (rows, [first, last]) => rows.flatMap((row) => [
  ...(known(row.low) && row.low < first ? [{ ...row, end: first, arrow: "triangle-left" }] : []),
  ...(known(row.high) && row.high > last ? [{ ...row, end: last, arrow: "triangle-right" }] : []),
]);
const cutMarks = (cuts, x, color) => ({
  data: { values: cuts },
  mark: { type: "point", filled: true, opacity: 1, size: 90 },
  encoding: { x: x("end"), shape: { field: "arrow", type: "nominal", scale: null }, color },
});

/** A row per name, with the name above its marks, so that names take no room beside the chart. */
const named = (field, names) => ({ field, type: "nominal", sort: names, axis: null, scale: { domain: names } });
const nameMark = (field) => ({
  mark: { type: "text", align: "left", baseline: "bottom", dy: -8, limit: { expr: "width" } },
  encoding: { x: { value: 2 }, text: { field } },
});
const tooltips = (...fields) => fields.map(([field, title]) => ({ field, title, type: "nominal" }));

const charts = {
  comparison({ trials, means }) {
    if (!means.length) return [];
    const seeds = trials.filter((row) => known(row.accuracy)).map((row) => ({ ...row, shown: two(row.accuracy) }));
    const rows = means.map((row) => ({ ...row, shown: two(row.mean), interval: interval(row) }));
    const ends = limits(seeds.map((row) => row.accuracy), rows);
    const cuts = cutEnds(rows, ends);
    const x = (field) => quantitative(field, "Validation accuracy in the last epoch (%)", ends);
    return [{
      usermeta: { cut: cuts.length > 0 },
      height: STEP * rows.length,
      encoding: { y: named("condition", rows.map((row) => row.condition)) },
      layer: [
        { data: { values: rows }, ...nameMark("condition") },
        {
          data: { values: rows.filter((row) => known(row.low)) },
          mark: { type: "rule", size: 3, color: COLORS[0], clip: true },
          encoding: { x: x("low"), x2: { field: "high" } },
        },
        cutMarks(cuts, x, { value: COLORS[0] }),
        {
          data: { values: seeds },
          mark: { type: "point", size: 60, yOffset: 12, color: COLORS[5], clip: true },
          encoding: {
            x: x("accuracy"),
            href: { field: "url" },
            tooltip: tooltips(["condition", "Condition"], ["seed", "Seed"], ["shown", "Accuracy (%)"], ["key", "Trial"], ["run", "MLflow run"]),
          },
        },
        {
          data: { values: rows },
          mark: { type: "point", filled: true, opacity: 1, size: 110, color: COLORS[0] },
          encoding: {
            x: x("mean"),
            tooltip: tooltips(["condition", "Condition"], ["shown", "Mean accuracy (%)"], ["interval", "95 % interval"], ["seeds", "Seeds"]),
          },
        },
      ],
    }];
  },

  claims({ claims }) {
    const units = [...new Set(claims.map((row) => row.unit))];
    return units.map((unit) => {
      const rows = claims.filter((row) => row.unit === unit).map((row, index) => ({
        ...row,
        // Two claims can have the same text.
        claim: index,
        shown: `${two(row.estimate)} ${unit}`,
        interval: interval(row),
        said: known(row.claimed) ? `${two(row.claimed)} ${unit}` : "a direction",
        needed: row.verdict === "undecided" ? (row.seeds_needed ?? "unknown") : "–",
        from: (row.kind === "difference" ? row.claimed : 0) - row.margin,
        to: (row.kind === "difference" ? row.claimed : 0) + row.margin,
      }));
      const present = Object.keys(VERDICTS).filter((verdict) => rows.some((row) => row.verdict === verdict));
      const place = { domain: present, range: present.map((verdict) => VERDICTS[verdict][0]) };
      const form = { domain: present, range: present.map((verdict) => VERDICTS[verdict][1]) };
      const ends = limits([0, ...rows.flatMap((row) => [row.estimate, row.claimed])], rows);
      const cuts = cutEnds(rows, ends);
      const x = (field) => quantitative(field, `Measured difference (${unit})`, ends);
      const color = { field: "verdict", title: "Verdict", scale: place, legend: { orient: "top", columns: 3 } };
      return {
        usermeta: { cut: cuts.length > 0 },
        height: STEP * rows.length,
        data: { values: rows },
        encoding: { y: named("claim", rows.map((row) => row.claim)) },
        layer: [
          {
            transform: [{ filter: "datum.margin > 0" }],
            mark: { type: "bar", color: GREY, opacity: 0.2, clip: true },
            encoding: { x: x("from"), x2: { field: "to" } },
          },
          { mark: { type: "rule", color: GREY }, encoding: { x: { datum: 0, type: "quantitative" } } },
          nameMark("text"),
          {
            transform: [{ filter: "isValid(datum.low)" }],
            mark: { type: "rule", size: 3, clip: true },
            encoding: { x: x("low"), x2: { field: "high" }, color },
          },
          cutMarks(cuts, x, color),
          {
            transform: [{ filter: "isValid(datum.claimed)" }],
            mark: { type: "tick", thickness: 3, size: 22, color: GREY },
            encoding: { x: x("claimed") },
          },
          {
            mark: { type: "point", filled: true, opacity: 1, size: 110 },
            encoding: {
              x: x("estimate"),
              color,
              shape: { field: "verdict", title: "Verdict", scale: form },
              tooltip: tooltips(
                ["text", "Claim"], ["verdict", "Verdict"], ["comparison", "Difference"], ["shown", "Measured"],
                ["interval", "95 % interval"], ["said", "Claimed"], ["seeds", "Seeds"], ["needed", "Seeds needed"],
              ),
            },
          },
        ],
      };
    });
  },

  learning_curves({ curves }, width) {
    if (!curves.length) return [];
    const names = [...new Set(curves.map((row) => row.condition))];
    const epochs = [...new Set(curves.map((row) => row.epoch))];
    const pick = (range) => ({ domain: names, range: names.map((_, index) => range[index % range.length]) });
    const legend = { orient: "bottom", columns: Math.max(1, Math.floor(width / 230)), symbolLimit: 0, title: "Condition" };
    const faded = (full) => ({ condition: { param: "chosen", value: full }, value: full / 8 });
    const y = { field: "mean", type: "quantitative", title: null, scale: { zero: false } };
    return [{
      height: 300,
      data: { values: curves },
      params: [{
        name: "curve",
        value: "val_accuracy",
        bind: { input: "select", options: Object.keys(CURVES), labels: Object.values(CURVES), name: "Curve" },
      }],
      transform: [{ filter: "datum.curve === curve" }],
      encoding: {
        x: { field: "epoch", type: "quantitative", title: "Epoch", axis: { values: epochs, format: "d" }, scale: { zero: false, nice: false } },
        color: { field: "condition", scale: pick(COLORS), legend },
      },
      layer: [
        {
          params: [{ name: "chosen", select: { type: "point", fields: ["condition"] }, bind: "legend" }],
          mark: { type: "line" },
          encoding: { y, opacity: faded(1) },
        },
        {
          mark: { type: "area" },
          encoding: { y: { field: "low", type: "quantitative", title: null, scale: { zero: false } }, y2: { field: "high" }, opacity: faded(0.15) },
        },
        {
          mark: { type: "point", filled: true, size: 50 },
          encoding: {
            y,
            opacity: faded(1),
            shape: { field: "condition", scale: pick(SHAPES), legend },
            tooltip: tooltips(["condition", "Condition"], ["epoch", "Epoch"], ["mean", "Mean"], ["low", "Lowest seed"], ["high", "Highest seed"]),
          },
        },
      ],
    }];
  },

  confusion_matrix({ confusion, best }) {
    if (!confusion.length) return [];
    const names = [...new Set(confusion.map((row) => row.condition))];
    const band = (field, title, axis) => ({ field, title, type: "nominal", sort: null, axis });
    return [{
      height: 30 * new Set(confusion.map((row) => row.true)).size,
      data: { values: confusion },
      params: [{ name: "condition", value: best, bind: { input: "select", options: names, name: "Condition" } }],
      transform: [{ filter: "datum.condition === condition" }],
      encoding: {
        x: band("predicted", "Predicted class", { labelAngle: -40 }),
        y: band("true", "True class", {}),
      },
      layer: [
        {
          mark: "rect",
          encoding: {
            color: { field: "percent", type: "quantitative", scale: { scheme: "cividis", domain: [0, 100] }, legend: null },
            tooltip: tooltips(["true", "True class"], ["predicted", "Predicted class"], ["percent", "Share (%)"]),
          },
        },
        {
          transform: [{ filter: "datum.percent >= 0.05" }],
          mark: { type: "text", fontSize: 10 },
          encoding: {
            text: { field: "percent", type: "quantitative", format: ".1f" },
            color: { condition: { test: "datum.percent < 55", value: "white" }, value: "black" },
          },
        },
      ],
    }];
  },
};

/** The differences of two conditions by seed, with their mean and its interval. */
function differenceChart(rows, mean) {
  const ends = limits([0, mean.mean, ...rows.map((row) => row.difference)], [mean]);
  const cuts = cutEnds([mean], ends);
  const x = (field) => quantitative(field, "Difference (points)", ends);
  return {
    usermeta: { cut: cuts.length > 0 },
    height: 70,
    layer: [
      { data: { values: [{}] }, mark: { type: "rule", color: GREY }, encoding: { x: { datum: 0, type: "quantitative" } } },
      {
        data: { values: known(mean.low) ? [mean] : [] },
        mark: { type: "rule", size: 3, color: COLORS[0], clip: true },
        encoding: { x: x("low"), x2: { field: "high" } },
      },
      cutMarks(cuts, x, { value: COLORS[0] }),
      {
        data: { values: rows },
        mark: { type: "point", size: 60, yOffset: 16, color: COLORS[5] },
        encoding: { x: x("difference"), tooltip: tooltips(["seed", "Seed"], ["shown", "Difference (points)"]) },
      },
      {
        data: { values: known(mean.mean) ? [mean] : [] },
        mark: { type: "point", filled: true, opacity: 1, size: 110, color: COLORS[0] },
        encoding: { x: x("mean"), tooltip: tooltips(["shown", "Mean difference"], ["interval", "95 % interval"]) },
      },
    ],
  };
}

/** A sentence about arrows if a chart has any. */
const cutHint = (specs) => (specs.some(({ usermeta }) => usermeta?.cut) ? "An arrow marks an interval that is cut off at the edge." : "");

const HINTS = {
  comparison: () => "Hover over a seed (hollow) for its trial; click it to open its run in MLflow. Full: mean and 95 % interval.",
  claims: ({ marks }) => `Hover over a point for the claim. Grey tick: claimed size. ${marks}`,
  learning_curves: () => "Lines: mean over seeds; bands: their range. Click a condition in the legend to highlight it, with Shift for several.",
  confusion_matrix: () => "Share of the true class's validation images, summed over seeds.",
};
