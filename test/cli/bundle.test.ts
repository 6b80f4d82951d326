// A folder's bundle depends on its files alone.
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packFolder } from "../../cli/bundle.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-bundle-"));
  writeFileSync(join(folder, "server.mjs"), "console.log(1)");
  mkdirSync(join(folder, "lib"));
  writeFileSync(join(folder, "lib/start"), "#!/bin/sh", { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function entries(bytes: Uint8Array): Promise<Record<string, number | undefined>> {
  const found: Record<string, number | undefined> = {};
  const reading = extract();
  reading.end(gunzipSync(bytes));
  for await (const entry of reading) {
    found[entry.header.name] = entry.header.mode;
    entry.resume();
  }
  return found;
}

test("the same files give the same hash whatever their times", async () => {
  const first = await packFolder(folder);
  utimesSync(join(folder, "server.mjs"), 1, 1);
  expect((await packFolder(folder)).hash).toBe(first.hash);
  writeFileSync(join(folder, "server.mjs"), "console.log(2)");
  expect((await packFolder(folder)).hash).not.toBe(first.hash);
});

test("what is executable stays so, and nothing else becomes so", async () => {
  expect(await entries((await packFolder(folder)).bytes)).toEqual({ "lib/start": 0o755, "server.mjs": 0o644 });
});

test("version control, local secrets and what .berthignore names stay at home", async () => {
  for (const [path, text] of [
    [".env", "SECRET=1"],
    ["notes.md", ""],
    [".berthignore", "# comment\nnotes.md\nlib/\n"],
  ] as const) {
    writeFileSync(join(folder, path), text);
  }
  mkdirSync(join(folder, ".git"));
  writeFileSync(join(folder, ".git/HEAD"), "");
  expect(Object.keys(await entries((await packFolder(folder)).bytes))).toEqual([".berthignore", "server.mjs"]);
});

test("an empty folder and a file are refused", async () => {
  const empty = mkdtempSync(join(tmpdir(), "berth-empty-"));
  await expect(packFolder(empty)).rejects.toThrow("no files");
  rmSync(empty, { recursive: true });
  await expect(packFolder(join(folder, "server.mjs"))).rejects.toThrow("not a folder");
});
