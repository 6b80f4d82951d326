// docs/OPERATING.md says how long everything takes and what that costs: the same as the code.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { priceOf } from "../../bench/poll/price.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";

const text = readFileSync(new URL("../../docs/OPERATING.md", import.meta.url), "utf8");
const rows = (pattern: RegExp): string[][] => [...text.matchAll(pattern)].map((match) => [...match].slice(1));
const limits = { agent: AGENT_LIMITS, control: DEFAULT_LIMITS } as unknown as Record<string, Record<string, number>>;

const timings = rows(/^\| `(\w+)` \| (agent|control) \| ([\d.]+) s \|/gm);
const costs = rows(/^\| (\d+) s[^|]*\| ([\d.]+) s \| (\d+) s \|[^|]*\| ([\d,]+) \|$/gm);

/** As the text says: 16 cells, 40 polls a second, 0.66 ms of processor time per request. */
const NODES = 1_000;
const MEASURED_MS = 0.66;
/** What priceOf takes for the time between two alarms of a Cell, which is the suspect window less a beat. */
const ALARM_EVERY_S = 3;

describe("docs/OPERATING.md", () => {
  it("has tables to compare", () => {
    expect(timings.length).toBeGreaterThan(12);
    expect(costs).toHaveLength(4);
  });

  it.each(timings)("says of %s at the %s what the code does", (name, where, seconds) => {
    expect(limits[where ?? ""]?.[name ?? ""]).toBe(Number(seconds) * 1_000);
  });

  it.each(costs)("computes what a beat of %s s costs from the counts it names", (beat, suspect, lost, usd) => {
    const everyS = Number(beat);
    const { heartbeatMs } = AGENT_LIMITS;
    expect(Number(suspect)).toBe((everyS * DEFAULT_LIMITS.suspectMs) / heartbeatMs);
    expect(Number(lost)).toBe((everyS * DEFAULT_LIMITS.leaseTtlMs) / heartbeatMs);
    const { usdPerMonth } = priceOf({
      beatsPerSecond: NODES / everyS,
      pollsPerSecond: NODES / 25,
      cells: (16 * ALARM_EVERY_S) / (Number(suspect) - everyS),
      activeMsPerRequest: MEASURED_MS,
      cpuMsPerRequest: MEASURED_MS,
    });
    expect(Math.round(usdPerMonth.total)).toBe(Number(usd?.replaceAll(",", "")));
  });
});
