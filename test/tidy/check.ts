// `npm run check`: types, lint, format and the tidy rules at the same time; prints what failed and exits 1.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";

const checks: readonly (readonly [name: string, command: string])[] = [
  ["types (Node)", "tsc --pretty"],
  ["types (workerd)", "tsc --pretty -p tsconfig.workers.json"],
  ["lint", "oxlint --deny-warnings"],
  ["format", "prettier --check --log-level warn ."],
  ["tidy", "vitest run --config test/tidy/vitest.config.ts --root ."],
];

/** Each check is a process; more of them than cores only slows them all. */
const parallel = Math.max(2, availableParallelism());

interface Outcome {
  readonly name: string;
  readonly output: string;
  readonly passed: boolean;
  readonly tookMs: number;
}

function run(name: string, command: string): Promise<Outcome> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("close", (code) => resolve({ name, output, passed: code === 0, tookMs: performance.now() - startedMs }));
  });
}

async function worker(waiting: [string, string][], outcomes: Outcome[]): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const outcome = await run(...next);
    outcomes.push(outcome);
    console.log(`${outcome.passed ? "ok    " : "FAILED"} ${outcome.name} (${(outcome.tookMs / 1000).toFixed(1)} s)`);
  }
}

const waiting = checks.map(([name, command]): [string, string] => [name, command]);
const outcomes: Outcome[] = [];
await Promise.all(Array.from({ length: parallel }, () => worker(waiting, outcomes)));
for (const { name, output, passed } of outcomes) {
  if (!passed) console.error(`\n--- ${name}\n${output.trimEnd()}`);
}
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1;
