// docs/OPERATING.md says how long everything takes and what that costs: the same as the code.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { priceOf, trafficOf } from "../../bench/poll/price.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";

const text = readFileSync(new URL("../../docs/OPERATING.md", import.meta.url), "utf8");
const rows = (pattern: RegExp): string[][] => [...text.matchAll(pattern)].map((match) => [...match].slice(1));
const limits = { agent: AGENT_LIMITS, control: DEFAULT_LIMITS } as unknown as Record<string, Record<string, number>>;

const timings = rows(/^\| `(\w+)` \| (agent|control) \| ([\d.]+) s \|/gm);
const costs = rows(/^\| (\d+) s[^|]*\| ([\d.]+) s \| (\d+) s \|[^|]*\| ([\d,]+) \|$/gm);

const transports = rows(/^\| ([\d,]+) \| (\d+) \| ([\d,]+) \| ([\d,]+) \|$/gm);
const number = (text = ""): number => Number(text.replaceAll(",", ""));

/** As the text says: 16 cells, 40 polls a second, 0.66 ms of processor time per request. */
const NODES = 1_000;
const MEASURED_MS = 0.66;
/** What priceOf takes for the time between two alarms of a Cell, which is the suspect window less a beat. */
const ALARM_EVERY_S = 3;

describe("docs/OPERATING.md", () => {
  it("has tables to compare", () => {
    expect(timings.length).toBeGreaterThan(12);
    expect(costs).toHaveLength(4);
    expect(transports.map(([nodes]) => number(nodes))).toEqual([100, 1_000, 10_000]);
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
      messagesPerSecond: 0,
      upgradesPerSecond: 0,
      cells: (16 * ALARM_EVERY_S) / (Number(suspect) - everyS),
      activeMsPerRequest: MEASURED_MS,
      activeMsPerMessage: 0,
      cpuMsPerRequest: MEASURED_MS,
    });
    expect(Math.round(usdPerMonth.total)).toBe(Number(usd?.replaceAll(",", "")));
  });

  it.each(transports)("computes what %s nodes in %s cells cost over each transport", (nodes, cells, http, socket) => {
    const [, perRequest, perMessage] =
      /([\d.]+) ms of processor time per request, ([\d.]+) ms per message/.exec(text) ?? [];
    const measured = { msPerRequest: number(perRequest), msPerMessage: number(perMessage) };
    const usdOver = (transport: "http" | "socket") => {
      const traffic = trafficOf(transport, number(nodes), measured);
      expect(traffic.cells).toBe(number(cells));
      return Math.round(priceOf(traffic).usdPerMonth.total);
    };
    expect([usdOver("http"), usdOver("socket")]).toEqual([number(http), number(socket)]);
  });
});
