// When a key may be used and when it may go: each reason that holds it, and none that does not.
import { describe, expect, it } from "vitest";
import { activationHold, isOld, retirementHold, type Around, type KeyFacts } from "../../core/key-rules.ts";

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
const NOW = 1_000 * DAY_MS;
const around = (changed: Partial<Around> = {}): Around => ({
  nowMs: NOW,
  spreadMs: 120_000,
  nodesWithout: [],
  sweep: null,
  ...changed,
});
const key = (kind: KeyFacts["kind"], changed: Partial<KeyFacts> = {}): KeyFacts => ({
  kind,
  createdAtMs: NOW - DAY_MS,
  replacedAtMs: null,
  ...changed,
});

describe("a prepared key", () => {
  it.each(["kek", "ticket", "credential", "session", "backup"] as const)(
    "%s is used once all Workers heard of it",
    (kind) => {
      const fresh = key(kind, { createdAtMs: NOW - 119_999 });
      expect(activationHold(fresh, around())).toMatchObject({ untilMs: NOW + 1 });
      expect(activationHold(key(kind, { createdAtMs: NOW - 120_000 }), around())).toBeNull();
    },
  );

  it("that signs tickets waits for every node, and names those that it waits for", () => {
    const nodesWithout = Array.from({ length: 12 }, (_, index) => `n${index}`);
    const hold = activationHold(key("ticket"), around({ nodesWithout }));
    expect(hold?.message).toContain("n0, n1");
    expect(hold?.message).toContain("and 2 more");
    expect(activationHold(key("session"), around({ nodesWithout }))).toBeNull();
  });
});

describe("a replaced key", () => {
  const replacedAtMs = NOW - 26 * HOUR_MS;
  const swept = { startedAtMs: NOW - 25 * HOUR_MS, endedAtMs: NOW - 24 * HOUR_MS, failed: 0 };

  it.each([
    ["no sweep since", around(), "was not wrapped anew"],
    ["a sweep that began before it was out of use", around({ sweep: { ...swept, startedAtMs: replacedAtMs } }), "anew"],
    ["a sweep under way", around({ sweep: { ...swept, endedAtMs: null } }), "still being wrapped"],
    ["a value that did not open", around({ sweep: { ...swept, failed: 2 } }), "2 stored values"],
  ])("of values is kept by %s", (_, held, message) => {
    expect(retirementHold(key("kek", { replacedAtMs }), held)?.message).toContain(message);
  });

  it("of values goes after the sweep, once a day's idempotency keys are gone too", () => {
    expect(retirementHold(key("kek", { replacedAtMs }), around({ sweep: swept }))).toBeNull();
    const early = { replacedAtMs: NOW - HOUR_MS };
    const sweep = { startedAtMs: NOW - 1_000, endedAtMs: NOW, failed: 0 };
    expect(retirementHold(key("kek", early), around({ sweep }))?.untilMs).toBeGreaterThan(NOW + 23 * HOUR_MS);
  });

  it.each([
    ["ticket", 26 * HOUR_MS],
    ["session", 31 * DAY_MS],
  ] as const)("of %ss goes after what it signed has expired", (kind, afterMs) => {
    expect(retirementHold(key(kind, { replacedAtMs: NOW - HOUR_MS }), around())?.untilMs).toBeGreaterThan(NOW);
    expect(retirementHold(key(kind, { replacedAtMs: NOW - afterMs }), around())).toBeNull();
  });

  it("of credentials is kept by the nodes that hold one by it", () => {
    const held = around({ nodesWithout: ["rack-7"] });
    expect(retirementHold(key("credential", { replacedAtMs }), held)?.message).toContain("rack-7");
    expect(retirementHold(key("credential", { replacedAtMs }), around())).toBeNull();
  });
});

it("a key that was prepared and never used may go at once", () => {
  expect(retirementHold(key("ticket"), around())).toBeNull();
});

it.each([
  ["kek", 366],
  ["backup", 731],
] as const)("a %s in use for %i days is too old, a day less and it is not", (kind, days) => {
  expect(isOld(kind, NOW - days * DAY_MS, NOW)).toBe(true);
  expect(isOld(kind, NOW - (days - 1) * DAY_MS, NOW)).toBe(false);
});
