// Ejections: out, on trial, back; the waits between; who may be the trial; and what a gateway's answer says. As tables.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GATEWAY_ERRORS, type GatewayError } from "../../../contracts/ticket.ts";
import {
  answered,
  ejected,
  mayBeBack,
  mayTry,
  onTrial,
  standing,
  verdictOf,
  type Ejection,
  type Standing,
} from "../../../core/routing/ejections.ts";
import { ROUTING_LIMITS as limits } from "../../../core/routing/limits.ts";
import { announced, SEED } from "../seed.ts";

const T = 1_000_000;
const out = (untilMs: number, count = 1): Ejection => ({ kind: "out", sinceMs: T, untilMs, count });
const trial = (untilMs: number, count = 1): Ejection => ({ kind: "trial", sinceMs: T, untilMs, count });
const back = (forgetAtMs: number, count = 1): Ejection => ({ kind: "back", forgetAtMs, count });

describe("an ejection", () => {
  const table: [string, Ejection | undefined, Standing][] = [
    ["nothing known", undefined, "in"],
    ["out", out(T + 1), "out"],
    ["out, its time over", out(T), "due"],
    ["on trial", trial(T + 1), "out"],
    ["on trial that nobody ended", trial(T), "due"],
    ["back", back(T + 1), "in"],
    ["back, long ago", back(T), "in"],
  ];
  test.each(table)("%s: %s", (_name, known, expected) => {
    expect(standing(known, T)).toBe(expected);
  });

  test("of a node is looked at anew by each route that was made since it and names the node, once", () => {
    const known = out(T + 30_000, 6);
    expect(mayBeBack(known, T)).toBe(false);
    expect(mayBeBack(known, T + 5_000)).toBe(true);
    const failed = ejected(onTrial(known, T + 5_100, limits), T + 5_100, limits);
    expect(mayBeBack(failed, T + 5_000)).toBe(false);
    for (const other of [undefined, trial(T + 1), back(T + 1)]) expect(mayBeBack(other, T + 5_000)).toBe(false);
  });

  test("waits twice as long each time a trial fails, up to the maximum", () => {
    const waits: number[] = [];
    let known: Ejection | undefined;
    let nowMs = T;
    for (let failure = 0; failure < 8; failure++) {
      known = ejected(known, nowMs, limits);
      waits.push(known.untilMs - nowMs);
      nowMs += waits.at(-1) ?? 0;
      known = onTrial(known, nowMs, limits);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("is not prolonged by what was sent before it and fails after it", () => {
    const first = ejected(undefined, T, limits);
    expect(ejected(first, T + 500, limits)).toBe(first);
  });

  test("ends with an answer to what was sent after it, not with an older one", () => {
    expect(answered(out(T + 1_000), T - 1, T + 5, limits)).toEqual(out(T + 1_000));
    expect(answered(out(T + 1_000), T, T + 5, limits)).toEqual(back(T + 5 + limits.ejectForgetMs));
    expect(answered(trial(T + 1_000, 0), T, T + 5, limits)).toBeUndefined();
    expect(answered(undefined, T, T, limits)).toBeUndefined();
  });

  test("counts on after it came back, and begins anew once that is forgotten", () => {
    expect(ejected(back(T + 1, 2), T, limits)).toEqual(out(T + 4_000, 3));
    expect(ejected(back(T, 2), T, limits)).toEqual(out(T + 1_000, 1));
    expect(answered(back(T, 2), T, T, limits)).toBeUndefined();
    expect(answered(back(T + 1, 2), T, T, limits)).toEqual(back(T + 1, 2));
  });

  test("lets a request that can be repeated try first, and any other once none has come for a while", () => {
    const known = out(T);
    expect([mayTry(known, true, T, limits), mayTry(known, false, T, limits)]).toEqual([true, false]);
    expect(mayTry(known, false, T + limits.trialPatienceMs, limits)).toBe(true);
    expect(mayTry(trial(T + 1), true, T, limits)).toBe(false);
  });

  test(announced("comes to an end whatever happens: nothing stays out for longer than the longest wait"), () => {
    const step = fc.tuple(fc.constantFrom("fail", "try", "answer"), fc.integer({ min: 0, max: 40_000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let known: Ejection | undefined;
        let nowMs = T;
        for (const [what, afterMs] of steps) {
          nowMs += afterMs;
          if (what === "fail") known = ejected(known, nowMs, limits);
          else if (what === "try") known = onTrial(known, nowMs, limits);
          else known = answered(known, nowMs, nowMs, limits);
          expect(standing(known, nowMs + limits.ejectMaxMs)).not.toBe("out");
          if (what === "answer") expect(standing(known, nowMs)).toBe("in");
          if (what === "fail") expect(standing(known, nowMs)).toBe("out");
        }
      }),
      { seed: SEED },
    );
  });
});

test("what each answer of a gateway says against the instance", () => {
  const verdicts = Object.fromEntries(GATEWAY_ERRORS.map((code) => [code, verdictOf(code)])) as Record<
    GatewayError,
    ReturnType<typeof verdictOf>
  >;
  expect(verdicts).toEqual({
    instance_gone: null,
    malformed_request: null,
    body_too_large: null,
    too_many_connections: { reportFrom: null },
    ticket_missing: { reportFrom: null },
    ticket_invalid: { reportFrom: null },
    ticket_expired: { reportFrom: null },
    connect_failed: { reportFrom: 1 },
    upstream_timeout: { reportFrom: 1 },
    upstream_reset: { reportFrom: 2 },
  });
});
