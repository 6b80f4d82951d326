// core/app: what an App holds sealed is read page by page and wrapped anew, while it changes, and nothing else of it moves.
import { expect, it } from "vitest";
import { BenchApp, as, value } from "./bench-object.ts";

const set = (app: BenchApp, environment: Record<string, string>) =>
  value(app.take({ kind: "changeEnvironment", input: { ...as(null), set: environment, unset: [] } }));
const read = (app: BenchApp, after: string | null = null) => value(app.take({ kind: "readSealed", input: { after } }));
const wrapped = (app: BenchApp) => {
  const items = read(app).items.map((item) => ({ ...item, fresh: `new ${item.sealed}` }));
  return value(app.take({ kind: "rewrap", input: { items } })).changed;
};

it("wraps what the next release will carry and what each release carries, and tells nobody", () => {
  const app = new BenchApp();
  set(app, { A: "a", B: "b" });
  app.deploy();
  const events = app.tables.events.size;
  expect(wrapped(app)).toBe(4);
  expect(read(app).items.map(({ sealed }) => sealed)).toEqual(["new a", "new b", "new a", "new b"]);
  expect(app.tables.events.size).toBe(events);
});

it("leaves alone what was set since it was read", () => {
  const app = new BenchApp();
  set(app, { A: "a", B: "b" });
  const items = read(app).items.map((item) => ({ ...item, fresh: `new ${item.sealed}` }));
  set(app, { A: "a of now" });
  expect(value(app.take({ kind: "rewrap", input: { items } })).changed).toBe(1);
  expect(Object.fromEntries(read(app).items.map(({ name, sealed }) => [name, sealed]))).toEqual({
    A: "a of now",
    B: "new b",
  });
});

it("hands out large environments one by one, each once", () => {
  const app = new BenchApp();
  set(app, { A: "x".repeat(150_000) });
  app.deploy();
  set(app, { B: "y".repeat(150_000) });
  const keys: string[] = [];
  for (let after: string | null = null; ;) {
    const page = read(app, after);
    keys.push(...page.items.map(({ key, name }) => `${key} ${name}`));
    if (page.after === null) break;
    after = page.after;
  }
  expect(new Set(keys).size).toBe(keys.length);
  // The draft, and two releases: one of A, one of A and B.
  expect(keys.length).toBe(5);
});
