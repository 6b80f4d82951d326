// core/cell: agents of the protocol before: what they know nothing of is not given to them, and the refusal says so.
import { describe, expect, it } from "vitest";
import { AGENT_PROTOCOL, FENCING_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import { cellChoice } from "../../core/placement/choose-cell.ts";
import { BenchCell, CELL, insId, nodeId, value } from "./bench-object.ts";
import { cellOf, numberOf, on, placed, reserve, silence, slotOf, told, type Wanted } from "./cell-bench.ts";

const OLD = FENCING_PROTOCOL - 1;
const STRICT: Wanted = { singleton: "strict" };
const JOB: Wanted = { job: true };
const PORTS: Wanted = { policy: { hostPorts: [8443] } };

/** Node 0 is as old as is given; the others are not. */
function mixed(count: number, protocol = OLD): BenchCell {
  const cell = new BenchCell();
  for (let n = 0; n < count; n += 1) {
    const said = { protocol: n === 0 ? protocol : AGENT_PROTOCOL };
    value(cell.enrol(n, said));
    value(cell.beat(n, said));
  }
  return cell;
}

describe("an agent from before fencing", () => {
  it.each<[string, Wanted, string]>([
    ["a strict singleton", STRICT, "strict singletons"],
    ["an instance with host ports", PORTS, "host ports"],
    ["a one-off instance", JOB, "one-off instances"],
  ])("is not given %s, and the refusal says why", (_name, want, wanted) => {
    const cell = mixed(1);
    const [refused] = reserve(cell, "k", [1], want).refused;
    expect(refused?.refusal.constraints).toEqual([
      { constraint: "agent", nodesExcluded: 1, requested: null, missing: null, wanted },
    ]);
    expect(refused?.refusal.impossible).toBeUndefined();
    expect(refusalText(refused!.refusal)).toBe(
      `of 1 node, 1 excluded by agent (too old for ${wanted}: it has to be upgraded)`,
    );
  });

  it.each<[string, Wanted]>([
    ["any other instance", {}],
    ["a singleton that silence never stops", { singleton: "available" }],
  ])("is given %s", (_name, want) => {
    expect(placed(mixed(1), 1, want)).toBe(0);
  });

  it.each([STRICT, PORTS, JOB])("leaves %j to nodes whose agents are newer, however full they are", (want) => {
    const cell = mixed(2);
    placed(cell, 9, { cpuMilli: 500, avoid: [0] });
    for (const n of [1, 2, 3]) {
      const policy = want.policy && { hostPorts: [8_000 + n] };
      expect(placed(cell, n, { ...want, ...(policy ? { policy } : {}), app: n })).toBe(1);
    }
  });

  it("counts as new from the heartbeat on that says so, also after a restart, and as old again when it is set back", () => {
    const cell = mixed(1);
    value(cell.beat(0, { protocol: AGENT_PROTOCOL }));
    value(cell.beat(0, { protocol: AGENT_PROTOCOL }));
    expect(cell.rowsWritten).toBe(0);
    cell.restart();
    expect(reserve(cell, "k", [1], STRICT).placements.length).toBe(1);
    value(cell.beat(0, { protocol: OLD }));
    expect(reserve(cell, "l", [2], STRICT).placements).toEqual([]);
  });

  it("is taken for old where a row of an older run does not say", () => {
    const cell = cellOf(1);
    const { protocol: _, ...row } = cell.tables.nodes.get(nodeId(0))!;
    cell.tables.nodes.set(nodeId(0), row);
    cell.restart();
    expect(reserve(cell, "k", [1], STRICT).placements).toEqual([]);
    value(cell.beat(0));
    expect(reserve(cell, "l", [1], STRICT).placements.length).toBe(1);
  });

  it("makes an App look for another cell", () => {
    const old = value(mixed(3, OLD).take({ kind: "summary", input: {} }));
    const choice = cellChoice([old], 4);
    const want = (wanted: Wanted) =>
      choice.plan({ slots: [slotOf(1, { ...wanted, ordinal: 1 })], occupied: [] }, [])[0];
    expect(want(STRICT)).toMatchObject({ cell: CELL });
    const allOld = value(mixed(1).take({ kind: "summary", input: {} }));
    choice.update(allOld);
    expect(want(STRICT)).toBeNull();
    expect(want({})).toMatchObject({ cell: CELL });
  });
});

describe("a strict singleton whose agent was set back", () => {
  function setBack(): BenchCell {
    const cell = cellOf(2);
    expect(placed(cell, 1, { ...STRICT, avoid: [1] })).toBe(0);
    value(cell.beat(0, { protocol: OLD }));
    told(cell);
    silence(cell, 60, { beating: [1] });
    return cell;
  }

  it("has no successor when the node is lost: that agent stops nothing", () => {
    const cell = setBack();
    const news = told(cell).filter(({ kind }) => kind === "node_gone");
    expect(news).toMatchObject([{ instances: [], kept: [insId(1)] }]);
    expect(numberOf(cell, 1)).toBe(0);
    expect(cell.tables.instances.get(insId(1))?.state).toEqual({ kind: "desired" });
  });

  it("is given up when the operator removes the node", () => {
    const cell = setBack();
    told(cell);
    value(cell.take({ kind: "remove", input: { ...on(0), force: true } }));
    silence(cell, 31, { beating: [1] });
    expect(told(cell).at(-1)).toMatchObject({ kind: "node_gone", instances: [insId(1)] });
  });
});
