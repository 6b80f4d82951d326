// The launcher with real processes: an agent is kept running, a new one is tried, and taken back when it does not come back.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { launch } from "../../../node-agent/launcher/launcher.ts";
import { readLaunchState, sha256Of, writeLaunchState } from "../../../node-agent/launcher/launch-state.ts";
import { until } from "../agent/world.ts";

const TRIAL_MS = 700;
const ATTEMPT = "00000000000000aa";

let dir: string;
let ending: AbortController;
let running: Promise<void> | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-launcher-"));
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  await running;
  running = null;
  rmSync(dir, { recursive: true, force: true });
});

/** An agent as far as the launcher knows one: it notes its starts, ends on SIGTERM, and does what `more` says. */
function script(name: string, more: string): string {
  const path = join(dir, `${name}.mjs`);
  const note = `import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(join(dir, "starts"))}, "${name} " + process.argv.slice(2).join(" ") + "\\n");`;
  const stay = `const timer = setInterval(() => {}, 1e6); process.on("SIGTERM", () => process.exit(0)); process.on("disconnect", () => process.exit(0));`;
  writeFileSync(path, `${note}\n${stay}\n${more}\n`);
  return path;
}
const HEARD = 'process.send({ kind: "heard" });';
const starts = (): string[] => {
  try {
    return readFileSync(join(dir, "starts"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
};

function begin(installed: string, trialMs = TRIAL_MS): void {
  running = launch({ dir, installed, args: ["run", "--dir", dir], trialMs }, ending.signal);
}

/** As an agent does it before it makes way. */
function tryNext(installed: string, next: string, { sha256 = sha256Of(next) ?? "" } = {}): void {
  const base = { path: installed, version: "1.0.0", sha256: sha256Of(installed) ?? "" };
  const current = { path: next, version: "2.0.0", sha256 };
  writeLaunchState(dir, { installed: base.sha256, current, previous: base, attempt: ATTEMPT, reverted: null });
}

const reverted = () => until("it is taken back", () => readLaunchState(dir)?.reverted ?? null);

test("it starts the installed agent with its arguments, again when it ends, and ends with it when told to", async () => {
  const installed = script("old", `${HEARD} setTimeout(() => process.exit(3), 100);`);
  begin(installed);
  await until("three starts", () => starts().length >= 3);
  expect(starts()[0]).toBe(`old run --dir ${dir}`);
  ending.abort();
  await running;
  const count = starts().length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(starts()).toHaveLength(count);
});

test("a new agent that is heard stays; the trial is over for good, also over an end of the launcher", async () => {
  const installed = script("old", "");
  const next = script("new", HEARD);
  tryNext(installed, next);
  // Long enough to be heard in on a busy machine.
  const trialMs = 10 * TRIAL_MS;
  begin(installed, trialMs);
  await until("it is heard", () => readLaunchState(dir)?.attempt === null);
  await new Promise((resolve) => setTimeout(resolve, trialMs + 200));
  expect(readLaunchState(dir)).toMatchObject({ current: { version: "2.0.0" }, reverted: null });
  expect(starts()).toEqual([`new run --dir ${dir}`]);
});

test("one that crashes at once is tried twice, then the one before goes on, and its last word is kept", async () => {
  const installed = script("old", HEARD);
  const next = script("new", 'throw new Error("cannot read the moon");');
  tryNext(installed, next);
  begin(installed, 20 * TRIAL_MS);
  const told = await reverted();
  expect(told).toMatchObject({ attempt: ATTEMPT, version: "2.0.0" });
  expect(told.why).toBe(
    "it ended before its first acknowledged heartbeat: exit code 1; it said: Error: cannot read the moon",
  );
  await until("the old one runs", () => starts().at(-1)?.startsWith("old"));
  expect(starts().map((line) => line.split(" ")[0])).toEqual(["new", "new", "old"]);
});

test("one that runs but is not heard, and does not even end when asked, makes way when its time is over", async () => {
  const installed = script("old", HEARD);
  const next = script("new", 'process.on("SIGTERM", () => {});');
  tryNext(installed, next);
  begin(installed);
  expect((await reverted()).why).toBe("no heartbeat was acknowledged within 1 s");
  await until("the old one runs", () => starts().at(-1)?.startsWith("old"));
});

test("bytes on the disk that are not what they were are not started: the one before is, and it is said", async () => {
  const installed = script("old", HEARD);
  const next = script("new", HEARD);
  tryNext(installed, next, { sha256: "0".repeat(64) });
  begin(installed);
  expect((await reverted()).why).toBe("its bundle on the disk is damaged");
  await until("the old one runs", () => starts().length > 0);
  expect(starts()).toEqual([`old run --dir ${dir}`]);
});

test("an agent installed by hand counts more than what an upgrade left; so does a file that cannot be read less than nothing", async () => {
  const installed = script("old", HEARD);
  const next = script("new", HEARD);
  tryNext(installed, next);
  script("old", `${HEARD} // a newer one, by hand`);
  begin(installed);
  await until("it runs", () => starts().length > 0);
  expect(starts()[0]).toContain("old");
  expect(readLaunchState(dir)).toMatchObject({ attempt: null, previous: null, installed: sha256Of(installed) });
  ending.abort();
  await running;
  writeFileSync(join(dir, "launch.json"), "{");
  ending = new AbortController();
  begin(installed);
  await until("it runs again", () => starts().length > 1);
  expect(readLaunchState(dir)?.current.path).toBe(installed);
});
