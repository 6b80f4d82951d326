// What the agent keeps on disk: it survives a kill between any two writes, and never goes back.
import { fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import { NodeId } from "../../../contracts/ids.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { LogStore } from "../../../node-agent/agent/logs/log-store.ts";
import { LineSplitter } from "../../../node-agent/agent/logs/line-splitter.ts";
import { DESIRED_FILE, DesiredStore, GENERATIONS_FILE } from "../../../node-agent/agent/state/desired-store.ts";
import { identifyProcess, isAlive, parseStat } from "../../../node-agent/agent/state/process-id.ts";
import { desired } from "./world.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-state-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const node = NodeId.parse("node_00000000000000000000000001");
const document = (revision: number, instances: DesiredDocument["instances"]): DesiredDocument => ({
  node,
  revision,
  instances,
  routes: {},
  watch: [],
});

test("a document is taken once, and never one with a lower or an equal revision", async () => {
  const store = await DesiredStore.open(dir, 100);
  const one = desired();
  expect(await store.accept(document(3, [one]))).toBe(true);
  expect(await store.accept(document(3, []))).toBe(false);
  expect(await store.accept(document(2, []))).toBe(false);
  const again = await DesiredStore.open(dir, 100);
  expect(again.desired).toEqual(document(3, [one]));
  expect(await again.accept(document(2, []))).toBe(false);
});

test("documents that arrive together are taken in order, and the newest one stays", async () => {
  const store = await DesiredStore.open(dir, 100);
  const taken = await Promise.all([2, 5, 3, 4, 6].map((revision) => store.accept(document(revision, []))));
  expect(taken).toEqual([true, true, false, false, true]);
  expect((await DesiredStore.open(dir, 100)).desired?.revision).toBe(6);
});

test("a kill after the generations and before the document leaves the older document, all the more fenced", async () => {
  const store = await DesiredStore.open(dir, 100);
  const old = desired();
  await store.accept(document(1, [old]));
  const before = readFileSync(join(dir, DESIRED_FILE));
  await store.accept(document(2, [{ ...old, generation: 2 }]));
  writeFileSync(join(dir, DESIRED_FILE), before);
  const again = await DesiredStore.open(dir, 100);
  expect(again.desired?.revision).toBe(1);
  expect(again.fences.get(old.instance)).toEqual({ generation: 2, stopped: false });
  expect(await again.accept(document(2, [{ ...old, generation: 2 }]))).toBe(true);
});

test("a write that was cut off beside the file is no harm, and a file that was cut off is not guessed at", async () => {
  const store = await DesiredStore.open(dir, 100);
  await store.accept(document(1, []));
  writeFileSync(join(dir, `${DESIRED_FILE}.tmp`), '{"revision": 9');
  expect((await DesiredStore.open(dir, 100)).desired?.revision).toBe(1);
  writeFileSync(join(dir, DESIRED_FILE), '{"revision": 9');
  await expect(DesiredStore.open(dir, 100)).rejects.toThrow(/desired\.json cannot be read/);
});

test("a process killed while it stores document after document leaves whole ones, and revisions that only rise", async () => {
  const script = join(import.meta.dirname, "store-forever.ts");
  let last = 0;
  for (let round = 0; round < 6; round += 1) {
    const child = fork(script, [dir], { stdio: "ignore" });
    let told = 0;
    const writing = new Promise<void>((resolve) => {
      child.on("message", (revision: number) => {
        told = revision;
        if (revision > last + 3) resolve();
      });
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await writing;
    await new Promise((resolve) => setTimeout(resolve, round * 7));
    child.kill("SIGKILL");
    await ended;
    const { desired: stored, fences } = await DesiredStore.open(dir, 100);
    // What was acknowledged is there; what is there is whole, and fenced.
    expect(stored?.revision ?? 0).toBeGreaterThanOrEqual(Math.max(told, last));
    last = stored?.revision ?? 0;
    for (const { instance, generation } of stored?.instances ?? []) {
      expect(fences.get(instance)!.generation).toBeGreaterThanOrEqual(generation);
    }
  }
  expect(last).toBeGreaterThan(10);
});

test("fences are bounded, and those of the document are kept", async () => {
  const store = await DesiredStore.open(dir, 5);
  const kept = desired();
  await store.accept(document(1, [kept]));
  for (let revision = 2; revision < 20; revision += 1) await store.accept(document(revision, [kept, desired()]));
  expect(store.fences.size).toBeLessThanOrEqual(5);
  expect(store.fences.has(kept.instance)).toBe(true);
  await store.markStopped(kept.instance, 1);
  expect(JSON.parse(readFileSync(join(dir, GENERATIONS_FILE), "utf8"))).toContainEqual([kept.instance, 1, true]);
});

test("a process is told apart from another one that got its pid", async () => {
  const me = (await identifyProcess(process.pid))!;
  expect(await isAlive(me)).toBe(true);
  expect(await isAlive({ ...me, startTicks: me.startTicks + 1 })).toBe(false);
  expect(await isAlive({ ...me, bootId: "another boot" })).toBe(false);
  const text = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 11 22 0 0 20 0 1 0 777 5000 99 18446744073709551615";
  expect(parseStat(42, text)).toMatchObject({
    state: "S",
    session: 42,
    startTicks: 777,
    cpuTicks: 33,
    residentPages: 99,
  });
});

test("log files rotate within their bounds, and say where they had got to", async () => {
  const limits = { ...AGENT_LIMITS, logFileBytesMax: 2_000, logLineBytesMax: 200 };
  const logs = new LogStore(dir, limits);
  for (let n = 0; n < 200; n += 1) {
    logs.append("i", { atMs: 1_000 + Math.floor(n / 3), stream: "stdout", line: `${n} ${"y".repeat(n % 50)}` });
    if (n % 10 === 0) await logs.flush();
  }
  logs.append("i", { atMs: 9_000, stream: "stdout", line: "z".repeat(10_000) });
  logs.note("i", 9_999, "a word of the platform");
  await logs.flush();
  for (const path of [logs.pathOf("i"), `${logs.pathOf("i")}.1`]) {
    expect(readFileSync(path).length).toBeLessThanOrEqual(2_000);
  }
  expect(await logs.lastOf("i")).toEqual({ atMs: 9_000, linesAtThatMs: 1 });
  expect(await logs.lastOf("none")).toBeNull();
});

test("bytes become lines whatever pieces they come in, and an endless line is cut", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter(10, (line) => lines.push(line));
  const bytes = Buffer.from("één\r\ntwo\n\n0123456789abcdef\nrest");
  for (const byte of bytes) splitter.write(Buffer.from([byte]));
  splitter.end();
  expect(lines).toEqual(["één", "two", "", "0123456789", "abcdef", "rest"]);
});
