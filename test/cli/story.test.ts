// What `berth nodes events` and `berth events` make of events: sentences, for every type there is.
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { duration, shownMs } from "../../cli/duration.ts";
import { tellAppEvent } from "../../cli/story/app-events.ts";
import { tellNodeEvent } from "../../cli/story/node-events.ts";
import { BerthEvent, EVENT_TYPES, type EventType } from "../../contracts/events.ts";

const event = (type: EventType, data: Record<string, unknown> = {}, actor = "system"): BerthEvent =>
  BerthEvent.parse({
    ...{ id: "cell:local.0#1", source: "cell:local.0", seq: 1, type, version: 1, team: null, subject: "node" },
    ...{ actor, causeId: null, atMs: 1, data },
  });
const ofNode = (...given: Parameters<typeof event>): string =>
  stripVTControlCharacters(tellNodeEvent(event(...given)) ?? "nothing");

const NODE_CASES: [string, Parameters<typeof event>][] = [
  ["silent for 5.2 s: suspect, its gateway is asked for a second opinion", ["node.suspect", { silentMs: 5_213 }]],
  ["is heard again", ["node.returned", { from: "suspect" }]],
  ["drain begun by user:u: each instance moves once its replacement is ready", ["node.draining", {}, "user:u"]],
  ["drained after 95 s: 3 moved, nothing is left on it", ["node.drained", { moved: 3, tookMs: 95_400 }]],
  [
    "disk pressure: the disk is 91 % full",
    ["node.condition", { kind: "disk_pressure", message: "the disk is 91 % full" }],
  ],
  ["disk pressure is over after 11 min", ["node.recovered", { kind: "disk_pressure", lastedMs: 650_000 }]],
  [
    "orphan stopped (ins_1): generation 1 ran here",
    ["node.notice", { kind: "orphan_stopped", instance: "ins_1", message: "generation 1 ran here" }, "node:n"],
  ],
  ["removed by user:u, although something ran there", ["node.removed", { forced: true }, "user:u"]],
  ["rebalance of the cell begun by user:u: 4 to move", ["cell.rebalancing", { state: "started", steps: 4 }, "user:u"]],
  [
    "rebalance of the cell stopped after 30 min: 3 moved, 1 stay where they are",
    ["cell.rebalancing", { state: "stopped", moved: 3, remaining: 1, tookMs: 1_800_000 }],
  ],
];

describe("the story of a node", () => {
  it.each(NODE_CASES)("says: %s", (sentence, given) => {
    expect(ofNode(...given)).toBe(sentence);
  });

  it("has a sentence for every event of nodes and cells, and none for others", () => {
    for (const type of EVENT_TYPES) {
      const isNodes = type.startsWith("node.") || type.startsWith("cell.");
      expect(tellNodeEvent(event(type)) !== null, type).toBe(isNodes);
    }
  });

  it("survives data that it does not know", () => {
    expect(ofNode("node.suspect", { silentMs: "long" })).toContain("silent: suspect");
  });
});

const id = (kind: string): string => `${kind}_${"0".repeat(25)}1`;
const INSTANCE = {
  ...{ id: id("ins"), app: id("app"), release: id("rel"), version: 2, ordinal: 1, generation: 4 },
  ...{ node: id("node"), nodeName: "node-3", cell: "local.0", phase: "ready", observed: null },
  ...{ restarts: 0, createdAtMs: 1, readyAtMs: null },
};

describe("the story of an app", () => {
  it("has a sentence for every type, whatever its data", () => {
    for (const type of EVENT_TYPES) {
      const told = stripVTControlCharacters(tellAppEvent(event(type, { something: "else" })));
      expect(told, type).toMatch(/^[a-z#v]/);
      expect(told).not.toContain("undefined");
    }
  });

  it("tells apart what is placed, and what only holds room or finds none as long as a node is silent", () => {
    const data = { instance: { ...INSTANCE, failure: null }, reason: "node-1 is silent" };
    const plain = (type: EventType, more: Record<string, unknown>) =>
      stripVTControlCharacters(tellAppEvent(event(type, more)));
    expect(plain("instance.reserved", data)).toBe(
      "v2 #1 on node-3 room is held in case it is needed: node-1 is silent",
    );
    const refusal = { nodesTotal: 0, constraints: [] };
    expect(plain("placement.refused", { refusal })).toMatch(/^no room: there are no nodes/);
    expect(plain("placement.refused", { refusal, reason: "node-1 is silent" })).toMatch(
      /^no room to hold \(node-1 is silent\): there are no nodes/,
    );
  });

  it.each([
    ["its node is being drained", "drain", null],
    ["its node is to be freed", "rebalance", null],
    ["it keeps ending there (it exited with code 3)", "crash_loop", "it exited with code 3"],
    ["what it runs cannot be fetched there (no such host)", "pull_failed", "no such host"],
    ["its node has no room on its disk", "disk_pressure", null],
  ])("says of an instance that is to move: %s", (why, cause, message) => {
    const failure = message === null ? null : { code: "exited", message };
    const instance = { ...INSTANCE, failure };
    const told = tellAppEvent(event("instance.evacuating", { instance, cause, node: INSTANCE.node }));
    expect(stripVTControlCharacters(told)).toBe(`v2 #1 on node-3 is to move: ${why}`);
  });

  it("says who commanded a rollout, where it stood and why, and what the judge said", () => {
    const base = {
      ...{ id: id("roll"), app: id("app"), reason: "release", strategy: "canary", phase: "holding" },
      ...{ fromVersion: 1, toVersion: 2, replicas: 3, ready: 1, verified: 1, failure: null, waitingFor: null },
      ...{ startedAtMs: 0, deadlineAtMs: 9, endedAtMs: null, startedBy: "user:u" },
      step: { index: 1, of: 3, weight: 10, sinceMs: 0, untilMs: 30_001 },
    };
    const said = (type: EventType, more: object = {}, actor = "user:u") =>
      stripVTControlCharacters(tellAppEvent(event(type, { rollout: { ...base, ...more } }, actor)));
    const paused = { sinceMs: 1, by: "user:u", reason: "lunch" };
    expect(said("rollout.held")).toBe("rollout of v2: step 1 of 3, 10 % of the traffic for another 30 s");
    expect(said("rollout.paused", { paused })).toBe("rollout of v2 paused by user:u (lunch), step 1 of 3 at 10 %");
    expect(said("rollout.promoted")).toBe("rollout of v2 promoted by user:u, step 1 of 3 at 10 %");
    expect(said("rollout.cancelled", { phase: "cancelled" })).toBe("rollout of v2 cancelled by user:u");
    expect(said("rollout.aborted", { phase: "aborted", abortReason: "slow" })).toBe(
      "rollout of v2 aborted by user:u: slow",
    );
    expect(said("rollout.superseded", { phase: "superseded" })).toBe("rollout of v2 superseded");
    expect(stripVTControlCharacters(tellAppEvent(event("app.maintenance", { on: true }, "user:u")))).toBe(
      "maintenance begun by user:u",
    );
  });

  it("says how a route is shared, and why nobody serves", () => {
    const releases = [
      { version: 2, weight: 90, endpoints: 3 },
      { version: 3, weight: 10, endpoints: 1 },
    ];
    const shared = tellAppEvent(event("route.published", { version: 7, state: { kind: "serving", releases } }));
    expect(stripVTControlCharacters(shared)).toBe("route 7: v2 90 % by 3 instances, v3 10 % by 1 instance");
    const away = { kind: "unavailable", reason: "no_ready_instance" };
    const told = stripVTControlCharacters(tellAppEvent(event("route.published", { version: 8, state: away })));
    expect(told).toBe("route 8: unavailable (no ready instance)");
  });
});

describe("times", () => {
  it.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["1.5min", 90_000],
    ["15m", 900_000],
    ["2h", 7_200_000],
  ])("%s is %i ms", (text, ms) => {
    expect(duration(text)).toBe(ms);
  });

  it.each(["", "90", "fast", "-1s", "1 day"])("%j is refused with an example", (text) => {
    expect(() => duration(text)).toThrow('such as "90s"');
  });

  it.each([
    [900, "0.9 s"],
    [5_213, "5.2 s"],
    [95_400, "95 s"],
    [900_000, "15 min"],
    [7_200_000, "2 h"],
    [87_000_000, "24 h 10 min"],
  ])("%i ms are shown as %s", (ms, text) => {
    expect(shownMs(ms)).toBe(text);
  });
});
