// What an agent makes of the release that its document names: each thing that can be wrong with it has its own answer.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pino } from "pino";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { AgentManifest, DesiredAgent } from "../../../contracts/agent-release.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { Refused } from "../../../node-agent/agent/link/control.ts";
import { Notices } from "../../../node-agent/agent/report/notices.ts";
import { BundleStore } from "../../../node-agent/agent/upgrade/bundle-store.ts";
import { Upgrader } from "../../../node-agent/agent/upgrade/upgrader.ts";
import { AGENT_VERSION } from "../../../node-agent/agent/version.ts";
import {
  makeReleaseKey,
  publicHalf,
  signManifest,
  type PrivateReleaseKey,
} from "../../../node-agent/build/release-key.ts";
import { type LaunchState, readLaunchState, writeLaunchState } from "../../../node-agent/launcher/launch-state.ts";
import { until } from "../agent/world.ts";

const ATTEMPT = "00000000000000aa";
const BYTES = Buffer.from("console.log('another agent');\n");
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

let key: PrivateReleaseKey;
let dir: string;
beforeAll(async () => {
  key = await makeReleaseKey();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-upgrader-"));
  const current = { path: join(dir, "agent.mjs"), version: null, sha256: "0".repeat(64) };
  writeLaunchState(dir, { installed: current.sha256, current, previous: null, attempt: null, reverted: null });
});
// A notice may still be written.
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));

const manifestOf = (more: Partial<AgentManifest> = {}): AgentManifest => ({
  version: "9.0.0",
  sha256: sha256(BYTES),
  bytes: BYTES.length,
  protocol: 3,
  notBefore: 0,
  ...more,
});
const named = async (more: Partial<AgentManifest> = {}, by = key, attempt = ATTEMPT): Promise<DesiredAgent> => ({
  attempt,
  manifest: await signManifest(manifestOf(more), by),
});

interface Wish {
  readonly fetch?: (times: number) => Buffer | Error;
  readonly limits?: Partial<typeof AGENT_LIMITS>;
  readonly noLauncher?: boolean;
  readonly noKeys?: boolean;
}

async function world({ fetch = () => BYTES, limits = {}, noLauncher = false, noKeys = false }: Wish = {}) {
  const seen = { fetched: 0, left: 0, heard: 0, proven: 0 };
  const launcher = {
    get state(): LaunchState | null {
      return readLaunchState(dir);
    },
    switchTo: (state: LaunchState) => writeLaunchState(dir, state),
    heard: () => void (seen.heard += 1),
  };
  const upgrader = new Upgrader({
    limits: { ...AGENT_LIMITS, askBackoffMinMs: 1, askBackoffMaxMs: 5, ...limits } as typeof AGENT_LIMITS,
    log: pino({ level: "silent" }),
    keys: noKeys ? [] : [publicHalf(key)],
    launcher: noLauncher ? null : launcher,
    store: new BundleStore(dir),
    notices: await Notices.open(dir, { nowMs: () => 1, changed: () => undefined }),
    fetch: async () => {
      seen.fetched += 1;
      const found = fetch(seen.fetched);
      if (found instanceof Error) throw found;
      return Readable.from([found.subarray(0, 5), found.subarray(5)]);
    },
    nowMs: () => Date.now(),
    changed: () => undefined,
    leave: () => void (seen.left += 1),
    proven: () => void (seen.proven += 1),
  });
  const told = () => upgrader.report(null).upgrade;
  const ended = () => until("an end", () => (seen.left > 0 || told()?.state === "refused" ? told() : null));
  return { upgrader, seen, told, ended };
}
const kept = (): string[] => (existsSync(join(dir, "agents")) ? readdirSync(join(dir, "agents")) : []);

test("a good release lies whole on the disk, the launcher is told to try it, and this agent makes way", async () => {
  const { upgrader, ended, seen } = await world();
  upgrader.consider(await named());
  await ended();
  const state = readLaunchState(dir)!;
  expect(state).toMatchObject({ attempt: ATTEMPT, current: { version: "9.0.0", sha256: sha256(BYTES) } });
  expect(state.previous).toMatchObject({ path: join(dir, "agent.mjs"), version: AGENT_VERSION });
  expect(readFileSync(state.current.path)).toEqual(BYTES);
  expect(seen).toMatchObject({ left: 1, fetched: 1 });
});

test.each([
  ["no signature at all", () => Promise.resolve({ attempt: ATTEMPT, manifest: "e30.e30.e30" }), /is not pinned here/],
  [
    "the key of somebody else",
    async () => named({}, await makeReleaseKey()),
    /signed by the key rel-.*, which is not pinned here/,
  ],
  [
    "another key under our key's name",
    async () => named({}, { ...(await makeReleaseKey()), kid: key.kid }),
    /signature does not match/,
  ],
  ["a downgrade", () => named({ version: "0.0.9" }), /it is a downgrade: this node runs/],
  ["the same version with other bytes", () => named({ version: AGENT_VERSION }), /already, with other bytes/],
])("%s is refused before anything is fetched", async (_, desired, words) => {
  const { upgrader, ended, seen } = await world();
  upgrader.consider(await desired());
  expect((await ended())?.message).toMatch(words);
  expect(seen).toMatchObject({ fetched: 0, left: 0 });
  expect(readLaunchState(dir)?.attempt).toBeNull();
});

test.each([
  ["truncated", BYTES.subarray(0, 12), `it ended after 12 of ${BYTES.length} bytes`],
  ["too many", Buffer.concat([BYTES, BYTES]), `it has more than the ${BYTES.length} bytes of its manifest`],
  ["other", Buffer.from(BYTES.toString().replace("another", "evil on")), "its bytes are not those of its manifest"],
])("%s bytes are fetched again a few times, then refused; nothing of them is kept", async (_, bytes, words) => {
  const { upgrader, ended, seen } = await world({ fetch: () => bytes });
  upgrader.consider(await named());
  expect((await ended())?.message).toBe(`it cannot be fetched: ${words}`);
  expect(seen).toMatchObject({ fetched: 3, left: 0 });
  expect(kept()).toEqual([]);
});

test("what the network does is tried again, and told meanwhile; bytes that the control plane does not have are refused", async () => {
  const away = new Error("connect ECONNREFUSED");
  const first = await world({ fetch: (times) => (times < 6 ? away : BYTES) });
  first.upgrader.consider(await named());
  await first.ended();
  expect(first.seen).toMatchObject({ fetched: 6, left: 1 });
  rmSync(join(dir, "agents"), { recursive: true });
  const second = await world({ fetch: () => new Refused(404, "not_found", "These bytes are not stored here.", null) });
  second.upgrader.consider(await named());
  expect((await second.ended())?.message).toContain("These bytes are not stored here.");
  expect(second.seen.fetched).toBe(1);
});

test("too little disk for it is refused with what is missing, and nothing is fetched", async () => {
  const { upgrader, ended, seen } = await world({ limits: { agentDiskSlackBytes: (2 ** 60) as never } });
  upgrader.consider(await named());
  expect((await ended())?.message).toMatch(/^too little disk: \d+ MB more must be free under /);
  expect(seen.fetched).toBe(0);
});

test("a release that is not due yet waits and says so; when the word is taken back nothing happens any more", async () => {
  const { upgrader, told, seen } = await world();
  upgrader.consider(await named({ notBefore: Date.now() + 60_000 }));
  await until("it waits", () => told()?.state === "waiting");
  expect(told()?.message).toMatch(/^it is not to run before 20/);
  upgrader.consider(undefined);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(seen).toMatchObject({ fetched: 0, left: 0 });
});

test("one that reverted is told as a notice and not tried again in the same attempt, but in another one", async () => {
  const before = readLaunchState(dir)!;
  writeLaunchState(dir, { ...before, reverted: { attempt: ATTEMPT, version: "9.0.0", why: "it ended: exit code 1" } });
  const { upgrader, told, seen } = await world();
  upgrader.begin();
  expect(told()).toEqual({ attempt: ATTEMPT, state: "reverted", message: "it ended: exit code 1" });
  await until("the notice is on disk", async () => {
    const again = await Notices.open(dir, { nowMs: () => 1, changed: () => undefined });
    return again.pending().some(({ kind, message }) => kind === "agent_reverted" && message.includes("9.0.0"));
  });
  upgrader.consider(await named());
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(seen).toMatchObject({ fetched: 0, left: 0 });
  upgrader.consider(await named({}, key, "00000000000000bb"));
  await until("another attempt", () => seen.left > 0);
});

test("an agent without a launcher, or without keys, says why it cannot, and does nothing", async () => {
  for (const [wish, words] of [
    [{ noLauncher: true }, /no launcher started this agent/],
    [{ noKeys: true }, /has no release keys/],
  ] as const) {
    const { upgrader, seen } = await world(wish);
    upgrader.consider(await named());
    await new Promise((resolve) => setTimeout(resolve, 10));
    const report = upgrader.report("1.0.0");
    expect(report).toMatchObject({ able: false, upgrade: null, gatewayVersion: "1.0.0" });
    expect(report.unable).toMatch(words);
    expect(seen).toMatchObject({ fetched: 0, left: 0 });
  }
});

test("the first acknowledged heartbeat of a new agent ends its trial; only its own and the bundle before are kept", async () => {
  const { upgrader, ended } = await world();
  upgrader.consider(await named());
  await ended();
  const later = await world();
  later.upgrader.heard();
  later.upgrader.heard();
  expect(later.seen).toMatchObject({ heard: 1, proven: 1 });
  expect(kept()).toHaveLength(1);
});
