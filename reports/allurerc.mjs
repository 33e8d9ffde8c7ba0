// Allure 3's settings: what the report is called, how it is split, what it remembers, and its gate.
// Built by `make report`; the paths below are relative to the working directory of `allure`,
// which tools/report.sh sets to reports/.

// The gate walks results with iterator helpers, which Node 20 lacks (Node 22 has them).
const IteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
IteratorPrototype.toArray ??= function toArray() { return [...this]; };

// Fewer tests than this in a full run means that some never ran: a crashed worker's never reach Allure.
const MINIMUM_TESTS = { dev: 350, prod: 250 };
const minimum = (process.env.LAYOUT ?? "dev").split(",").reduce((sum, layout) => sum + MINIMUM_TESTS[layout], 0);

const onLayout = (layout) => ({ labels }) =>
  labels.some(({ name, value }) => name === "layout" && value === layout);

export default {
  name: "WireGuard deployment",
  resultsDir: "./results",
  historyPath: "./history/history.jsonl",
  historyLimit: 30,
  appendHistory: true,
  // Each test carries a `layout` label; each layout is an environment of its own, side by side.
  environments: {
    dev: { name: "dev", matcher: onLayout("dev") },
    prod: { name: "prod", matcher: onLayout("prod") },
  },
  plugins: {
    awesome: {
      options: {
        reportName: "WireGuard deployment",
        singleFile: true,
        reportLanguage: "en",
        theme: "auto",
        groupBy: ["epic", "feature", "story"],
      },
    },
  },
  qualityGate: {
    rules: [{ maxFailures: 0, minTestsCount: minimum }],
  },
};
