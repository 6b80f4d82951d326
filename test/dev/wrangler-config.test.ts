// Reading wrangler.toml for the local stack: the real files are understood, and what is not understood is refused.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readWranglerConfig } from "../../self-hosted/build/wrangler-config.ts";

function written(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), "berth-toml-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "wrangler.toml"), text);
  return join(dir, "wrangler.toml");
}

const HEAD = 'name = "w"\nmain = "w.ts"\ncompatibility_date = "2026-10-01"\n';

test("the control Worker's file gives SQLite objects, the route namespace, the bundle bucket and a cron", () => {
  const { name, options, everyMinute, mainPath } = readWranglerConfig("wrangler.toml");
  expect(name).toBe("berth-control");
  expect(mainPath).toMatch(/workers\/control\/index\.ts$/);
  expect(everyMinute).toBe(true);
  expect(options.durableObjects).toMatchObject({
    APP: { className: "App", useSQLite: true },
    CELL: { className: "Cell", useSQLite: true },
  });
  expect(Object.keys(options.kvNamespaces)).toEqual(["ROUTES"]);
  expect(Object.keys(options.r2Buckets)).toEqual(["BUNDLES"]);
});

test("the edge Worker's file points to the control Worker's objects and names the same namespace", () => {
  const control = readWranglerConfig("wrangler.toml");
  const edge = readWranglerConfig("workers/edge/wrangler.toml");
  expect(edge.options.durableObjects).toMatchObject({ APP: { className: "App", scriptName: control.name } });
  expect(edge.options.kvNamespaces).toEqual(control.options.kvNamespaces);
});

test("a binding that the local stack cannot give is refused by name", () => {
  const path = written(`${HEAD}[[hyperdrive]]\nbinding = "DB"\nid = "x"\n`);
  expect(() => readWranglerConfig(path)).toThrow(/hyperdrive/);
});

test("an object without a migration to SQLite is refused", () => {
  const path = written(`${HEAD}[[durable_objects.bindings]]\nname = "APP"\nclass_name = "App"\n`);
  expect(() => readWranglerConfig(path)).toThrow(/no migration makes App a SQLite class/);
});
