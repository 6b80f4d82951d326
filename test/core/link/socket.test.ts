// core/link: when an agent's socket is opened, believed in, doubted, left, and opened again.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AGENT_LIMITS as LIMITS } from "../../../core/converge/limits.ts";
import {
  firstSocketState,
  isUsable,
  lookAtMs,
  type SocketEvent,
  type SocketState,
  stepSocket,
  wayOf,
} from "../../../core/link/socket.ts";
import { isUpgradeTooLate, tooLateText } from "../../../core/link/too-late.ts";

const at = (nowMs: number, share = 0.5) => ({ nowMs, share });
const step = (state: SocketState, event: SocketEvent, nowMs: number, share = 0.5) =>
  stepSocket(state, event, at(nowMs, share), LIMITS);
const ended = (end: "failed" | "unknown_path" | "replaced" | "expired", retryAfterMs: number | null = null) =>
  ({ kind: "ended", end, retryAfterMs }) as const;
const look = { kind: "look" } as const;
const OPENING: SocketState = { kind: "opening", failures: 0, sinceMs: 1_000 };
const OPEN: SocketState = { kind: "open", failures: 0, sinceMs: 1_000, isLate: false };
const heard = (sentAtMs: number) => ({ kind: "heard_over_http", sentAtMs }) as const;
const pauseMs = (state: SocketState, nowMs: number) => (state.kind === "closed" ? state.retryAtMs - nowMs : null);

describe("an agent's socket", () => {
  it("is first opened at some moment within a beat, and not before it", () => {
    const late = step(firstSocketState(LIMITS, at(1_000, 1)), heard(1_000), 1_010);
    expect(lookAtMs(late, LIMITS)).toBe(1_000 + LIMITS.heartbeatMs);
    expect(step(late, look, 2_999)).toBe(late);
    expect(step(late, look, 3_000)).toEqual({ kind: "opening", failures: 0, sinceMs: 3_000 });
  });

  it("is usable from its opening until something sent on it is not answered in time", () => {
    const open = step(OPENING, { kind: "opened" }, 1_100);
    expect([OPENING, open].map(isUsable)).toEqual([false, true]);
    const doubted = step(open, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    expect([doubted.kind, isUsable(doubted)]).toEqual(["doubted", false]);
  });

  it("is asked for once HTTP is answered: nobody knocks at a control plane that is away", () => {
    const left = step(OPEN, ended("failed"), 100_000, 0);
    expect(lookAtMs(left, LIMITS)).toBeNull();
    expect(step(left, look, 900_000)).toBe(left);
    const soon = step(left, heard(100_100), 100_200, 1);
    expect(lookAtMs(soon, LIMITS)).toBe(100_000 + LIMITS.socketRetryMinMs);
    expect(step(soon, heard(102_000), 102_100, 1)).toBe(soon);
  });

  it("is asked for too by who is refused over HTTP because there is too much to do: it is the way out of that", () => {
    const left = step(OPEN, ended("failed"), 100_000, 0);
    const busy = step(left, { kind: "busy_over_http" }, 200_100, 0.5);
    expect(lookAtMs(busy, LIMITS)).toBe(200_100 + LIMITS.socketRetryMs / 2);
    // Of a socket that is doubted it says nothing.
    const doubted = step(OPEN, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    expect(step(doubted, { kind: "busy_over_http" }, 4_000)).toBe(doubted);
  });

  it("is asked for at some moment within its pause by all who waited for that answer together", () => {
    const left = step(OPEN, ended("failed"), 100_000, 0);
    const dues = [0, 0.5, 1].map((share) => lookAtMs(step(left, heard(200_000), 200_100, share), LIMITS));
    expect(dues).toEqual([0, 0.5, 1].map((share) => 200_100 + share * LIMITS.socketRetryMs));
  });

  it("is believed in again when the answer comes after all", () => {
    const doubted = step(OPEN, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    expect(step(doubted, { kind: "answered", sentAtMs: 2_000 }, 5_000)).toEqual({ ...OPEN, isLate: true });
    expect(step({ ...OPEN, isLate: true }, { kind: "answered", sentAtMs: 5_000 }, 5_100)).toEqual(OPEN);
  });

  it("takes turns with HTTP where neither is answered, and leaves it to HTTP where that is", () => {
    const ways = (from: SocketState) => {
      const doubted = step(from, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
      const beats = [doubted];
      for (let beat = 1; beat < 4; beat += 1) beats.push(step(beats.at(-1)!, { kind: "beat" }, 3_500 + beat * 2_000));
      return beats.map(wayOf);
    };
    expect(ways(OPEN)).toEqual(["http", "socket", "http", "socket"]);
    // It was slow but alive just before: then so is the control plane, to which HTTP would be three times the work.
    expect(ways({ ...OPEN, isLate: true })).toEqual(["socket", "http", "socket", "http"]);
    const doubted = step({ ...OPEN, isLate: true }, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    expect(wayOf(step(doubted, heard(4_000), 4_100))).toBe("http");
    expect([wayOf(OPEN), wayOf(OPENING)]).toEqual(["socket", "http"]);
  });

  it("that is silent while HTTP is answered is left by the time heartbeats are given up", () => {
    const doubted = step(OPEN, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    const giveUpAtMs = 2_000 + LIMITS.heartbeatGiveUpMs;
    const toBlame = step(doubted, { kind: "heard_over_http", sentAtMs: 4_000 }, 4_100);
    expect(lookAtMs(toBlame, LIMITS)).toBe(giveUpAtMs);
    expect(step(toBlame, look, giveUpAtMs - 1)).toBe(toBlame);
    expect(step(toBlame, look, giveUpAtMs)).toMatchObject({ kind: "closed", failures: 1 });
    expect(step(doubted, { kind: "heard_over_http", sentAtMs: 4_000 }, giveUpAtMs)).toMatchObject({ kind: "closed" });
  });

  it("that is silent while HTTP is too is kept for a minute: a control plane with too much to do gets no new sockets for it", () => {
    const doubted = step(OPEN, { kind: "unanswered", sentAtMs: 2_000 }, 3_500);
    expect(lookAtMs(doubted, LIMITS)).toBe(2_000 + LIMITS.socketDoubtMaxMs);
    // Sent before it fell silent: that says nothing of it.
    expect(step(doubted, { kind: "heard_over_http", sentAtMs: 1_900 }, 4_000)).toBe(doubted);
    expect(step(OPEN, { kind: "heard_over_http", sentAtMs: 4_000 }, 4_100)).toBe(OPEN);
    expect(step(doubted, look, 2_000 + LIMITS.socketDoubtMaxMs)).toMatchObject({ kind: "closed", failures: 1 });
  });

  it("is given up where the upgrade is never answered", () => {
    expect(lookAtMs(OPENING, LIMITS)).toBe(1_000 + LIMITS.socketOpenMs);
    expect(step(OPENING, look, 1_000 + LIMITS.socketOpenMs)).toMatchObject({ kind: "closed", failures: 1 });
  });

  it("is tried again with full jitter, doubled with every failure up to some minutes", () => {
    const pauses = (share: number) =>
      [0, 1, 2, 5, 6, 40].map((failures) =>
        pauseMs(step({ ...OPENING, failures }, ended("failed"), 5_000, share), 5_000),
      );
    expect(pauses(0)).toEqual(Array(6).fill(LIMITS.socketRetryMinMs));
    expect(pauses(1)).toEqual([8_000, 16_000, 32_000, 256_000, 300_000, 300_000]);
  });

  it("that lasted makes the next pause a short one, and one that a proxy kills after seconds does not", () => {
    const often: SocketState = { ...OPEN, failures: 7 };
    const lastedUntilMs = 1_000 + LIMITS.socketSteadyMs;
    expect(step(often, ended("failed"), lastedUntilMs)).toMatchObject({ failures: 1 });
    expect(step(often, ended("failed"), lastedUntilMs - 1)).toMatchObject({ failures: 8 });
  });

  it("is asked for seldom where the control plane does not know it, and at the earliest when it said, each at a moment of its own", () => {
    for (const share of [0, 1]) {
      const pause = pauseMs(step(OPENING, ended("unknown_path"), 5_000, share), 5_000);
      expect(pause).toBe(LIMITS.socketRetryMaxMs * (share === 0 ? 0.5 : 1));
    }
    const told = (share: number) => pauseMs(step(OPENING, ended("failed", 60_000), 5_000, share), 5_000);
    expect([told(0), told(1)]).toEqual([60_000, 120_000]);
  });

  it("comes back soon with a renewed credential, however often it failed before", () => {
    expect(pauseMs(step({ ...OPENING, failures: 9 }, ended("expired"), 5_000, 1), 5_000)).toBe(8_000);
  });

  it("takes every event in every state: it never opens two at once, and always has something ahead of it but an answer", () => {
    const event = fc.oneof(
      fc.constant<SocketEvent>(look),
      fc.constant<SocketEvent>({ kind: "opened" }),
      fc.constant<SocketEvent>({ kind: "beat" }),
      fc.constant<SocketEvent>({ kind: "busy_over_http" }),
      fc.nat(10_000).map<SocketEvent>((sentAtMs) => ({ kind: "answered", sentAtMs })),
      fc.nat(10_000).map<SocketEvent>((sentAtMs) => ({ kind: "unanswered", sentAtMs })),
      fc.nat(10_000).map<SocketEvent>((sentAtMs) => ({ kind: "heard_over_http", sentAtMs })),
      fc
        .constantFrom("failed", "unknown_path", "replaced", "expired")
        .map<SocketEvent>((end) => ended(end as "failed")),
    );
    const run = fc.array(fc.tuple(event, fc.nat(20_000), fc.double({ min: 0, max: 1, noNaN: true })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(run, (steps) => {
        let nowMs = 0;
        let state = firstSocketState(LIMITS, at(0));
        for (const [happened, waitedMs, share] of steps) {
          nowMs += waitedMs;
          const before = state;
          state = step(before, happened, nowMs, share);
          if (state.kind === "opening" && before.kind !== "opening") expect(before.kind).toBe("closed");
          if (state.kind === "open" && before.kind !== "open") expect(["opening", "doubted"]).toContain(before.kind);
          const waitsForAnswer = state.kind === "open" || (state.kind === "closed" && !state.isHeard);
          expect(lookAtMs(state, LIMITS) === null).toBe(waitsForAnswer);
          if (state.kind === "closed" && before.kind !== "closed") {
            expect(state.retryAtMs).toBeGreaterThanOrEqual(nowMs + LIMITS.socketRetryMinMs);
            expect(state.retryAtMs).toBeLessThanOrEqual(nowMs + LIMITS.socketRetryMaxMs);
          }
        }
      }),
    );
  });
});

describe("a heartbeat's age", () => {
  it.each([
    [4_999, false],
    [5_000, false],
    [5_001, true],
    [30_000, true],
    // Its clock is wrong then: others refuse it, and say so.
    [30_001, false],
    [-10_000, false],
  ])("of %i ms makes it too late: %s", (ageMs, isTooLate) => {
    expect(tooLateText(100_000 - ageMs, 100_000) !== null).toBe(isTooLate);
  });
});

describe("an upgrade's age", () => {
  it.each([
    [LIMITS.socketOpenMs - 1_000, false],
    [LIMITS.socketOpenMs - 999, true],
    [30_000, true],
    [30_001, false],
    [-10_000, false],
  ])("of %i ms makes it one that nobody waits for any more: %s", (ageMs, isTooLate) => {
    expect(isUpgradeTooLate(ageMs)).toBe(isTooLate);
  });
});
