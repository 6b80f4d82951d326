// What may be removed from a disk that fills, and how full a disk is.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Kept, removable, usedPercent } from "../../../core/converge/retention.ts";

const NOW = 1_000_000;
const NAMES = ["a", "b", "c", "d", "e", "f"];
const item = (name: string, over: Partial<Kept> = {}): Kept => ({
  ...{ digests: [name], usedAtMs: 0, inUse: false, fetched: true },
  ...over,
});
const names = (items: readonly Kept[], named: string[] = []) =>
  removable({ items, protectedNames: new Set(named), nowMs: NOW, unusedMinMs: 1_000 }).map(({ digests }) => digests[0]);

describe("what may go", () => {
  const cases: [string, Kept[], string[], string[]][] = [
    ["goes least recently used first", [item("b", { usedAtMs: 2 }), item("a", { usedAtMs: 1 })], [], ["a", "b"]],
    ["is never what a container is made of", [item("a", { inUse: true }), item("b")], [], ["b"]],
    ["is never what the document or a rollback names", [item("a"), item("b")], ["a"], ["b"]],
    ["is known by any of its names", [item("a", { digests: ["a", "a:latest"] }), item("b")], ["a:latest"], ["b"]],
    ["is never what was used just now", [item("a", { usedAtMs: NOW - 999 }), item("b")], [], ["b"]],
    ["is never what cannot be fetched again", [item("a", { fetched: false }), item("b")], [], ["b"]],
    ["is nothing where nothing is", [], [], []],
  ];
  test.each(cases)("%s", (_name, items, named, expected) => expect(names(items, named)).toEqual(expected));

  test("never grows when more is protected", () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.constantFrom(...NAMES), usedAtMs: fc.nat(2_000_000), inUse: fc.boolean() })),
        fc.subarray(NAMES),
        (made, named) => {
          const items = made.map(({ name, usedAtMs, inUse }) => item(name, { usedAtMs, inUse }));
          const free = names(items);
          for (const name of names(items, named)) {
            expect(free).toContain(name);
            expect(named).not.toContain(name);
          }
        },
      ),
    ));
});

test("a disk is as full as df says: what only root may take counts as taken", () => {
  expect(usedPercent({ blocks: 1_000, bfree: 500, bavail: 500 })).toBe(50);
  expect(usedPercent({ blocks: 1_000, bfree: 550, bavail: 450 })).toBe(50);
  expect(usedPercent({ blocks: 1_000, bfree: 50, bavail: 0 })).toBe(100);
  expect(usedPercent({ blocks: 0, bfree: 0, bavail: 0 })).toBe(0);
});
