// Bundles on a node's disk, without an agent around them.
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { DiskGate } from "../../../node-agent/agent/disk/disk-gate.ts";
import { Bundles } from "../../../node-agent/agent/runtime/bundles.ts";
import { makeBundle } from "./world.ts";

test("who waits for a bundle gets it, although the instance that its fetch was begun for was stopped", async () => {
  const { hash, bytes } = await makeBundle({ "index.js": "hello\n" });
  const dir = await mkdtemp(join(tmpdir(), "berth-bundles-"));
  const asked: string[] = [];
  const bundles = new Bundles(dir, AGENT_LIMITS, new DiskGate(), async (_hash, instance, signal) => {
    asked.push(instance);
    if (instance === "first") await once(signal, "abort");
    signal.throwIfAborted();
    return Readable.from([bytes]);
  });
  const stop = new AbortController();
  const goesOn = new AbortController().signal;
  const first = bundles.ensure(hash, "first", stop.signal);
  const others = [bundles.ensure(hash, "second", goesOn), bundles.ensure(hash, "third", goesOn)];
  await expect.poll(() => asked).toEqual(["first"]);
  stop.abort();
  await expect(first).rejects.toThrow(/abort/i);
  for (const { folder } of await Promise.all(others)) {
    expect(await readFile(join(folder, "index.js"), "utf8")).toBe("hello\n");
  }
  expect(asked).toEqual(["first", "second"]);
  await rm(dir, { recursive: true });
});
