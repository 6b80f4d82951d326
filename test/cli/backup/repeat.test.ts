// Backups again and again: from begin to begin, sooner after a failure, and ended between two.
import { describe, expect, it } from "vitest";
import { everyOf, repeat } from "../../../cli/backup/repeat.ts";

const HOUR_MS = 3_600_000;

/** Runs until `turns` were begun; each takes so long, and fails where `fails` says so. */
async function begun(everyMs: number, turns: number, tookMs: number, fails: (turn: number) => boolean = () => false) {
  let nowMs = 0;
  const at: number[] = [];
  const failures: number[] = [];
  await repeat({
    everyMs,
    work: async () => {
      at.push(nowMs);
      nowMs += tookMs;
      if (fails(at.length)) throw new Error("the store is away");
    },
    failed: (_, againInMs) => void failures.push(againInMs),
    nowMs: () => nowMs,
    sleep: async (ms) => void (nowMs += ms),
    isOver: () => at.length >= turns,
  });
  return { at, failures };
}

describe("backups on a schedule", () => {
  it("begin at equal distances, however long one takes", async () => {
    expect((await begun(HOUR_MS, 3, 60_000)).at).toEqual([0, HOUR_MS, 2 * HOUR_MS]);
    expect((await begun(HOUR_MS, 3, 2 * HOUR_MS)).at).toEqual([0, 2 * HOUR_MS, 4 * HOUR_MS]);
  });

  it("are tried again after ten minutes where one failed, and go on", async () => {
    const { at, failures } = await begun(HOUR_MS, 3, 1_000, (turn) => turn === 1);
    expect(at).toEqual([0, 600_000, 600_000 + HOUR_MS]);
    expect(failures).toEqual([600_000]);
  });

  it.each(["10s", "200h", "often"])("are not %s", (text) => {
    expect(() => everyOf(text)).toThrow();
  });
});
