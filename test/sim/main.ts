// `npm run sim -- [--seed N|A..B] [--nodes N] [--apps N] [--hours N] [--faults list] [--jobs N] …`: runs simulations, prints what
// happened; exit 1 on a violation.
import { parseArgs } from "node:util";
import { parseKinds } from "./app-kinds.ts";
import { parseFaults } from "./faults.ts";
import { runSeeds } from "./runs.ts";
import { Summary } from "./summary.ts";

const USAGE = `npm run sim -- [options]
  --seed N | A..B   one seed, or all from A to B          (a seed by the clock)
  --nodes N         servers at the start                  (8)
  --apps N          apps, of kinds chosen by the seed     (4)
  --kinds LIST      these kinds of apps instead: plain, spread, racks, singleton, strict, two-regions, labelled, ports, away
  --hours N         virtual time of trouble, e.g. 0.05    (2 minutes); --minutes N as well
  --faults LIST     all, none, names with commas, or names taken away: -power,-clock  (all)
  --harsh           a fifth of all messages lost and doubled, objects restart at every tenth step
  --careful         every release is a canary that is left to its judge
  --jobs N          worker processes                      (1)
  --trace N         lines of the trace shown with a violation (80)
  --keep-going      do not stop at the tenth seed that failed`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    nodes: { type: "string", default: "8" },
    apps: { type: "string", default: "4" },
    kinds: { type: "string" },
    hours: { type: "string" },
    minutes: { type: "string", default: "2" },
    faults: { type: "string", default: "all" },
    careful: { type: "boolean", default: false },
    harsh: { type: "boolean", default: false },
    jobs: { type: "string", default: "1" },
    trace: { type: "string", default: "80" },
    "keep-going": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function numberOf(name: "nodes" | "apps" | "hours" | "minutes" | "jobs" | "trace"): number {
  const number = Number(values[name]);
  if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} must be a number`);
  return number;
}

function seedsOf(text: string): { from: number; to: number } {
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  if (!match) throw new Error("--seed must be a number, or two with .. between them");
  const from = Number(match[1]);
  return { from, to: match[2] === undefined ? from : Number(match[2]) };
}

if (values.help) console.log(USAGE);
else {
  parseFaults(values.faults);
  const minutes = values.hours === undefined ? numberOf("minutes") : numberOf("hours") * 60;
  const run = {
    nodes: numberOf("nodes"),
    apps: numberOf("apps"),
    ...(values.kinds === undefined ? {} : { kinds: parseKinds(values.kinds) }),
    minutes,
    faults: values.faults,
    manner: values.careful ? ("careful" as const) : ("hasty" as const),
    weather: values.harsh ? ("harsh" as const) : ("rough" as const),
  };
  const seeds = seedsOf(values.seed);
  const summary = new Summary(seeds, run, numberOf("trace"));
  const failuresMax = values["keep-going"] ? Infinity : 10;
  await runSeeds({ ...seeds, run, jobs: Math.max(1, numberOf("jobs")), failuresMax }, (result) => summary.take(result));
  summary.print();
  process.exitCode = summary.failed.length > 0 ? 1 : 0;
}
