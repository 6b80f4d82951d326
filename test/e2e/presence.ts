// When instances really ran, as they themselves keep writing it into one file of this machine: the judge of `never two at once`.
import { readFileSync } from "node:fs";
import { expect } from "vitest";

/** From an instance's first word to its last, by the machine's clock. */
export interface Run {
  readonly instance: string;
  readonly version: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

const WRITES_EVERY_MS = 20;
/** What an instance still does after it was asked to stop: long enough for an overlap to show. */
const STOPS_AFTER_MS = 300;

/** An app that answers with its instance, and writes into the file for as long as it lives. */
export const presentServer = (file: string): string => `
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
const { BERTH_INSTANCE: instance, BERTH_VERSION: version, PORT } = process.env;
const present = () => appendFileSync(${JSON.stringify(file)}, Date.now() + " " + instance + " " + version + "\\n");
present();
setInterval(present, ${WRITES_EVERY_MS});
const server = createServer((request, response) => response.end(JSON.stringify({ instance, version })));
server.listen(Number(PORT));
process.on("SIGTERM", () => {
  server.close();
  setTimeout(() => process.exit(0), ${STOPS_AFTER_MS});
});
`;

/** In the order of their starts. Each word is one append, so no line is torn but, for a moment, the last. */
export function runsIn(file: string): Run[] {
  const runs = new Map<string, Run>();
  for (const line of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
    const [at, instance = "", version] = line.split(" ");
    const atMs = Number(at);
    const known = runs.get(instance) ?? { instance, version: Number(version), firstMs: atMs, lastMs: atMs };
    runs.set(instance, { ...known, firstMs: Math.min(known.firstMs, atMs), lastMs: Math.max(known.lastMs, atMs) });
  }
  return [...runs.values()].toSorted((a, b) => a.firstMs - b.firstMs);
}

export function expectNeverTwo(runs: readonly Run[]): void {
  for (const [index, run] of runs.entries()) {
    const before = runs[index - 1];
    if (before)
      expect(run.firstMs, `${run.instance} began while ${before.instance} ran`).toBeGreaterThan(before.lastMs);
  }
}
