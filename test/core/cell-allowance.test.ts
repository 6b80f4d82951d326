// core/cell: how often a node may have rows written: heartbeats, flips of conditions, notices; and that nothing honest is lost.
import { describe, expect, it } from "vitest";
import type { NodeNotice } from "../../contracts/node-notices.ts";
import { nodeId, value, type BenchCell } from "./bench-object.ts";
import { cellOf, view } from "./cell-bench.ts";

const notice = (seq: number): NodeNotice => ({ seq, kind: "orphan_stopped", instance: null, message: "x", atMs: 5 });
const countOf = (cell: BenchCell, ...types: string[]): number =>
  [...cell.tables.events.values()].filter(({ type }) => types.includes(type)).length;
/** Postgres takes all that waits. */
function drain(cell: BenchCell): number {
  const { eventSeq } = cell.tables.counters.get("counters")!;
  const taken = cell.tables.events.size;
  cell.take({ kind: "outbox_acked", lastSeq: eventSeq });
  return taken;
}

describe("heartbeats", () => {
  it("that come without end are refused, and the node stays believed in", () => {
    const cell = cellOf(1);
    const answers = { taken: 0, refused: 0 };
    for (let ms = 0; ms < 60_000; ms += 10) {
      cell.nowMs += 10;
      const answer = cell.beat(0);
      if (answer.ok) answers.taken += 1;
      else {
        answers.refused += 1;
        expect(answer.failure).toMatchObject({ code: "rate_limited", retryAfterMs: 1_000 });
        expect(cell.rowsWritten).toBe(0);
      }
    }
    const { beatsBurst, beatsPerMinute } = cell.limits;
    expect(answers.taken).toBeLessThanOrEqual(beatsBurst + beatsPerMinute);
    expect(answers.taken).toBeGreaterThan(beatsPerMinute);
    expect(answers.refused).toBeGreaterThan(4_000);
    expect(view(cell, 0).phase).toBe("ready");
  });

  it("of one node leave those of another alone, and its polls and asks", () => {
    const cell = cellOf(2);
    for (let n = 0; n < 300; n += 1) cell.beat(0);
    expect(cell.beat(0)).toMatchObject({ ok: false });
    expect(cell.beat(1)).toMatchObject({ ok: true });
    for (const lane of ["poll", "ask"] as const) {
      const input = { node: nodeId(0), jkt: "jkt", boot: "boot-1", lane, seq: 1 };
      expect(cell.take({ kind: "admit", input })).toMatchObject({ ok: true });
    }
  });

  it("of a node that starts again with each of them are not a row each without end", () => {
    const cell = cellOf(1);
    let rows = 0;
    for (let n = 0; n < 2_000; n += 1) {
      cell.beat(0, {}, { boot: `boot-x${n}` });
      rows += cell.rowsWritten;
    }
    expect(rows).toBeLessThanOrEqual(cell.limits.beatsBurst);
  });

  it("of a node on which hundreds of instances come up one by one are all taken", () => {
    const cell = cellOf(1);
    for (let ms = 0; ms < 60_000; ms += 60) {
      cell.nowMs += 60;
      value(cell.beat(0));
    }
  });
});

describe("conditions that flip with every heartbeat", () => {
  const condition = { kind: "disk_pressure", message: "91 %", sinceMs: 5 };

  it("are events at a bounded rate, and what is so in the end is known", () => {
    const cell = cellOf(1);
    const { flipsBurst, flipsPerMinute } = cell.limits;
    for (let beat = 0; beat < 3_000; beat += 1) {
      cell.nowMs += 200;
      value(cell.beat(0, { conditions: beat % 2 === 0 ? [condition] : [] }));
    }
    const events = countOf(cell, "node.condition", "node.recovered");
    expect(events).toBeGreaterThan(flipsBurst);
    expect(events).toBeLessThanOrEqual(flipsBurst + 10 * flipsPerMinute);
    for (const conditions of [[condition], []]) {
      cell.nowMs += 2_000;
      value(cell.beat(0, { conditions }));
      cell.nowMs += 2_000;
      value(cell.beat(0, { conditions }));
      expect(view(cell, 0).conditions.length).toBe(conditions.length);
    }
  });
});

describe("notices", () => {
  /** An agent's notices as it tells them: the oldest 32 of what is not acknowledged. */
  class Told {
    made = 0;
    acked = 0;
    tell(cell: BenchCell): void {
      const waiting = Array.from({ length: Math.min(32, this.made - this.acked) }, (_, n) =>
        notice(this.acked + 1 + n),
      );
      this.acked = value(cell.beat(0, { notices: waiting })).noticeAck;
    }
  }

  it("of a node that was away for long are all taken within a minute, in order", () => {
    const cell = cellOf(1);
    const agent = new Told();
    agent.made = 512;
    const seqs: unknown[] = [];
    for (let beats = 0; beats < 30; beats += 1) {
      cell.nowMs += 2_000;
      agent.tell(cell);
      for (const { type, data } of cell.tables.events.values()) if (type === "node.notice") seqs.push(data.seq);
      drain(cell);
    }
    expect(seqs).toEqual(Array.from({ length: 512 }, (_, n) => n + 1));
  });

  it("without end are taken at a bounded rate; what is not taken is not acknowledged, so that none is lost", () => {
    const cell = cellOf(1);
    const agent = new Told();
    let events = 0;
    for (let ms = 0; ms < 600_000; ms += 500) {
      cell.nowMs += 500;
      agent.made += 32;
      agent.tell(cell);
      events += countOf(cell, "node.notice");
      drain(cell);
    }
    const { reportsBurst, reportsPerMinute } = cell.limits;
    expect(events).toBe(agent.acked);
    expect(events).toBeLessThanOrEqual(reportsBurst + 10 * reportsPerMinute);
    expect(events).toBeGreaterThanOrEqual(reportsBurst + 9 * reportsPerMinute);
  });

  it("and metering rows wait on their nodes while Postgres is away for long", () => {
    const cell = cellOf(1, { reportsBurst: 10_000 });
    const agent = new Told();
    agent.made = 2_000;
    const row = (seq: number) => ({ seq, fromMs: seq, toMs: seq + 1, instances: [] });
    for (let beats = 0; beats < 60; beats += 1) {
      cell.nowMs += 2_000;
      agent.tell(cell);
    }
    expect(cell.tables.events.size).toBe(cell.limits.reportsWaitingMax);
    expect(value(cell.beat(0, { metering: [row(1)] })).meteringAck).toBe(0);
    drain(cell);
    expect(value(cell.beat(0, { metering: [row(1), row(2)] })).meteringAck).toBe(2);
    agent.tell(cell);
    expect(agent.acked).toBeGreaterThan(cell.limits.reportsWaitingMax - 10);
    expect(countOf(cell, "node.notice", "node.metered")).toBe(34);
  });
});
