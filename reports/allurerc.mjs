// Allure 3's settings: what the report is called, how it is split, what it remembers, and its gate.
// Built by `make report`; the paths below are relative to the working directory of `allure`,
// which tools/report.sh sets to reports/.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { qualityGateDefaultRules } from "allure/rules";

// The gate walks results with iterator helpers, which Node 20 lacks (Node 22 has them).
const IteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
IteratorPrototype.toArray ??= function toArray() { return [...this]; };

const RESULTS = process.env.REPORT_RESULTS ?? "./results";
const HISTORY = process.env.REPORT_HISTORY ?? "./history/history.jsonl";

// Fewer tests than this in a full run means that some never ran: a crashed worker's never reach Allure.
const MINIMUM_TESTS = { dev: 350, prod: 250 };
const minimum = (process.env.LAYOUT ?? "dev").split(",").reduce((sum, layout) => sum + MINIMUM_TESTS[layout], 0);

// The harness puts each failed test's root causes, as the doctor named them, into this label.
const ROOT_CAUSE = "rootCause";

const files = (ending) => {
  try {
    return readdirSync(RESULTS).filter((name) => name.endsWith(ending));
  } catch {
    return []; // `make report` says so itself
  }
};

const read = (name) => JSON.parse(readFileSync(join(RESULTS, name), "utf8"));

const valueOf = (labels, wanted) => labels.find(({ name }) => name === wanted)?.value;

const onLayout = (layout) => ({ labels }) => valueOf(labels, "layout") === layout;

// What a layout was deployed on, as the run itself has written it down: shown beside its results.
const surroundings = (layout) => {
  const name = `surroundings-${layout}.json`;
  return files(name).length ? read(name) : {};
};

// A category for each root cause that was named, the most frequent first; what has none has one of its own.
const categories = () => {
  const counts = new Map();
  for (const name of files("-result.json")) {
    const { status, labels = [] } = read(name);
    const cause = valueOf(labels, ROOT_CAUSE);
    if (cause && ["failed", "broken"].includes(status)) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  }
  const causes = [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([cause]) => cause);
  const named = causes.map((cause) => ({
    name: cause,
    matchers: ({ status, labels }) =>
      ["failed", "broken"].includes(status) && valueOf(labels, ROOT_CAUSE) === cause,
  }));
  return [...named, { name: "no root cause: the doctor was not asked", matchers: { statuses: ["failed", "broken"] } }];
};

// Nothing whose end is not known may pass for good: a test that was cut short has no status.
const maxUnknown = {
  rule: "maxUnknown",
  message: ({ actual, expected }) => `${actual} tests ended in a way that is not known, and ${expected} may`,
  validate: async ({ trs, expected, state }) => {
    const unknown = trs.filter(({ status }) => status === "unknown");
    const actual = unknown.length + (Number(state.getResult()) || 0);
    state.setResult(actual, unknown.map(({ id }) => id));
    return { success: actual <= expected, actual, testResults: unknown.map(({ id }) => id) };
  },
};

const layout = (name) => ({ name, matcher: onLayout(name), variables: surroundings(name) });

export default {
  name: "WireGuard deployment",
  resultsDir: RESULTS,
  historyPath: HISTORY,
  historyLimit: 30,
  appendHistory: process.env.REPORT_GATE !== "yes", // the page has done so already
  // Each test carries a `layout` label; each layout is an environment of its own, side by side.
  environments: { dev: layout("dev"), prod: layout("prod") },
  categories: categories(),
  // What pytest and Allure say of themselves; the groups are made of other labels.
  hideLabels: ["host", "thread", "framework", "language", "package", "parentSuite", "suite", "subSuite", "tag"],
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
    rules: [{ maxFailures: 0, maxUnknown: 0, minTestsCount: minimum }],
    use: [...qualityGateDefaultRules, maxUnknown],
  },
};
