// Which statements are kept prepared: those that come again and again, and never more than a connection has room for.
import { expect, test } from "vitest";
import { StatementNames } from "../../self-hosted/database/statement-names.ts";

const times = (count: number, names: StatementNames, text: string): (string | undefined)[] =>
  Array.from({ length: count }, () => names.nameOf(text));

test("a statement gets its name with the fifth time, and keeps it", () => {
  const names = new StatementNames();
  const found = times(7, names, "select 1");
  expect(found.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
  expect(new Set(found.slice(4)).size).toBe(1);
  expect(found[4]).toMatch(/^berth_\d+$/);
  expect(times(5, names, "select 2").at(-1)).not.toBe(found[4]);
});

test("texts that differ each time get none, and do not push out those that do not", () => {
  const names = new StatementNames();
  const often = times(5, names, "select often").at(-1);
  for (let n = 0; n < 20_000; n += 1) expect(names.nameOf(`select ${n}`)).toBeUndefined();
  expect(names.nameOf("select often")).toBe(often);
});

test("there are at most 150 names", () => {
  const names = new StatementNames();
  const given = Array.from({ length: 400 }, (_, n) => times(5, names, `select ${n}`).at(-1));
  expect(new Set(given.filter((name) => name !== undefined)).size).toBe(150);
});

test("a text of values written out gets none", () => {
  expect(times(9, new StatementNames(), `select '${"x".repeat(20_000)}'`)).not.toContain("berth_0");
});
