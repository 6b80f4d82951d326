// `npm run sim -- --seed N [--seeds N] [--nodes N] [--apps N] [--minutes N] [--harsh]`: runs the simulation and prints what happened; exit 1 on a violation.
import { parseArgs } from "node:util";
import { HARSH, simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    seeds: { type: "string", default: "1" },
    nodes: { type: "string", default: "6" },
    apps: { type: "string", default: "3" },
    minutes: { type: "string", default: "4" },
    harsh: { type: "boolean", default: false },
  },
});

const numberOf = (name: Exclude<keyof typeof values, "harsh">): number => {
  const number = Number(values[name]);
  if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} must be a number`);
  return number;
};

let failed = false;
for (let index = 0; index < numberOf("seeds"); index += 1) {
  const seed = numberOf("seed") + index;
  const startedMs = performance.now();
  const result = simulate({
    seed,
    nodes: numberOf("nodes"),
    apps: numberOf("apps"),
    minutes: numberOf("minutes"),
    ...(values.harsh ? { faults: HARSH } : {}),
  });
  const tookMs = Math.round(performance.now() - startedMs);
  const { events, rowsWritten, violations, counts, trace } = result;
  console.log(JSON.stringify({ seed, events, rowsWritten, tookMs, violations: violations.length, counts }));
  if (violations.length === 0) continue;
  failed = true;
  console.log(trace.slice(-60).join("\n"));
  for (const violation of violations) console.log(`VIOLATION of invariant ${violation}`);
  console.log(
    `Replay: npm run sim -- --seed ${seed} --nodes ${values.nodes} --apps ${values.apps} --minutes ${values.minutes}${values.harsh ? " --harsh" : ""}`,
  );
}
process.exitCode = failed ? 1 : 0;
