// The outbox's end: in order, once in effect, under repeats, overlaps, gaps, races and crashes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BerthEvent } from "../../contracts/events.ts";
import type { AppId, InstanceId, NodeId, ReleaseId, RolloutId, TeamId } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { acceptEvents, lastSeqOf } from "../../db/queries/outbox.ts";
import { addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
let team: TeamId;

beforeAll(async () => {
  db = await testDatabase();
  ({ team } = await addTeam(db, "outbox"));
});
afterAll(() => db.close());

type Made = Partial<Pick<BerthEvent, "type" | "subject" | "data" | "team">>;

function eventOf(source: string, seq: number, made: Made = {}): BerthEvent {
  return {
    id: `${source}#${seq}` as BerthEvent["id"],
    source,
    seq,
    type: "app.scaled",
    version: 1,
    team,
    subject: "subject",
    actor: "system",
    causeId: null,
    atMs: 1_700_000_000_000 + seq,
    data: { seq },
    ...made,
  };
}

const range = (source: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => eventOf(source, from + index));
const newApp = () => `app:${mintId<AppId>("app")}`;

async function stored(source: string): Promise<number[]> {
  const { rows } = await db.admin.query("select seq::int from events where source = $1 order by seq", [source]);
  return rows.map((row: { seq: number }) => row.seq);
}
const accept = async (source: string, from: number, to: number) => {
  const result = await acceptEvents(db.app, { source, events: range(source, from, to) });
  return result.ok ? result.value.lastSeq : result.failure;
};

describe("acceptEvents", () => {
  it("takes events in and says how far it is", async () => {
    const source = newApp();
    expect(await lastSeqOf(db.app, source)).toBe(0);
    expect(await accept(source, 1, 3)).toBe(3);
    expect(await accept(source, 4, 4)).toBe(4);
    expect(await stored(source)).toEqual([1, 2, 3, 4]);
  });

  it("changes nothing when events are repeated, and takes only what is new of an overlap", async () => {
    const source = newApp();
    await accept(source, 1, 3);
    expect(await accept(source, 1, 3)).toBe(3);
    expect(await accept(source, 2, 2)).toBe(3);
    expect(await accept(source, 2, 5)).toBe(5);
    expect(await stored(source)).toEqual([1, 2, 3, 4, 5]);
  });

  it("takes nothing after a gap and says from where to send again", async () => {
    const source = newApp();
    await accept(source, 1, 2);
    expect(await accept(source, 4, 6)).toBe(2);
    expect(await stored(source)).toEqual([1, 2]);
    expect(await accept(newApp(), 2, 3), "an unknown source begins at 1").toBe(0);
  });

  it("refuses a delivery that is out of order or of another source", async () => {
    const source = newApp();
    const [first, second] = range(source, 1, 2) as [BerthEvent, BerthEvent];
    const disordered = await acceptEvents(db.app, { source, events: [second, first] });
    const foreign = await acceptEvents(db.app, { source, events: [eventOf(newApp(), 1)] });
    expect([disordered.ok, foreign.ok]).toEqual([false, false]);
    expect(await stored(source)).toEqual([]);
  });

  it("has each event once when the same and overlapping deliveries race", async () => {
    const source = newApp();
    const deliveries = [];
    for (let to = 1; to <= 12; to += 1) deliveries.push(accept(source, 1, to), accept(source, Math.max(1, to - 2), to));
    await Promise.all(deliveries);
    // What a source does in the end: it sends again from what it was told.
    const last = await lastSeqOf(db.app, source);
    expect(last).toBe(12);
    expect(await stored(source)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  it("has all or nothing of a delivery whose connection is cut in its middle", async () => {
    const source = newApp();
    const blocker = await db.admin.connect();
    await blocker.query("begin");
    await blocker.query("lock table events in access exclusive mode");
    const delivery = acceptEvents(db.app, { source, events: range(source, 1, 3) }).catch((error: Error) => error.name);
    await untilBlocked();
    await db.admin.query(
      // Of this database alone: other test files have theirs on the same server.
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'berth_app' and wait_event_type = 'Lock'
       and datname = current_database()`,
    );
    await blocker.query("commit");
    blocker.release();
    expect(await delivery).toBe("DatabaseUnavailable");
    expect(await lastSeqOf(db.app, source)).toBe(0);
    expect(await stored(source)).toEqual([]);
    expect(await accept(source, 1, 3)).toBe(3);
    expect(await stored(source)).toEqual([1, 2, 3]);
  });

  it("takes in what jsonb refuses: NUL characters and halves of surrogate pairs", async () => {
    const source = newApp();
    const data = { line: "a\0b", cut: "😀".slice(0, 1) };
    const taken = await acceptEvents(db.app, { source, events: [eventOf(source, 1, { data, subject: "x\0" })] });
    expect(taken).toEqual({ ok: true, value: { lastSeq: 1 } });
    const { rows } = await db.admin.query("select data, subject from events where source = $1", [source]);
    expect(rows).toEqual([{ data: { line: "a\uFFFDb", cut: "\uFFFD" }, subject: "x\uFFFD" }]);
  });
});

async function untilBlocked(): Promise<void> {
  for (let tries = 0; tries < 6_000; tries += 1) {
    const { rows } = await db.admin.query(
      "select 1 from pg_stat_activity where usename = 'berth_app' and wait_event_type = 'Lock' and datname = current_database()",
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("the delivery never waited for the lock");
}

describe("what history tells from events", () => {
  const rollout = (id: RolloutId, app: AppId, phase: string, endedAtMs: number | null) => ({
    id, app, reason: "release", phase, fromVersion: null, toVersion: 1, replicas: 1, ready: 0, verified: 0, failure: null,
    waitingFor: null, startedAtMs: 1_700_000_000_000, deadlineAtMs: 1_700_000_600_000, endedAtMs, startedBy: "user:x",
  }); // prettier-ignore

  it("keeps the newest word on each rollout, whatever is repeated", async () => {
    const app = mintId<AppId>("app");
    const source = `app:${app}`;
    const id = mintId<RolloutId>("roll");
    const events = (["rolling", "verifying", "completed"] as const).map((phase, index) => {
      const type = phase === "rolling" ? "rollout.started" : (`rollout.${phase}` as const);
      const ended = phase === "completed" ? 1_700_000_005_000 : null;
      return eventOf(source, index + 1, { type, subject: id, data: { rollout: rollout(id, app, phase, ended) } });
    });
    await acceptEvents(db.app, { source, events: events.slice(0, 2) });
    expect(await phaseOf(id)).toBe("verifying");
    await acceptEvents(db.app, { source, events });
    await acceptEvents(db.app, { source, events: events.slice(0, 1) });
    expect(await phaseOf(id)).toBe("completed");
  });

  async function phaseOf(id: RolloutId): Promise<string> {
    const { rows } = await db.admin.query("select phase from rollout_history where id = $1", [toUuid(id, "roll")]);
    return rows[0].phase;
  }

  it("keeps each release once", async () => {
    const source = newApp();
    const id = mintId<ReleaseId>("rel");
    const release = {
      id, version: 7, spec: { source: { kind: "image", reference: "nginx:1" } }, envNames: ["A"], digest: null, message: null,
      createdAtMs: 1_700_000_000_000, createdBy: "user:x",
    }; // prettier-ignore
    const events = [eventOf(source, 1, { type: "release.created", subject: id, data: { release } })];
    await acceptEvents(db.app, { source, events });
    await acceptEvents(db.app, { source, events });
    const { rows } = await db.admin.query("select version, created_by from release_history where id = $1", [
      toUuid(id, "rel"),
    ]);
    expect(rows).toEqual([{ version: 7, created_by: "user:x" }]);
  });

  it("keeps one metering row per node and seq, with a counter per instance", async () => {
    const node = mintId<NodeId>("node");
    const counters = {
      instance: mintId<InstanceId>("ins"), generation: 1, app: mintId<AppId>("app"), team, release: mintId<ReleaseId>("rel"),
      runningMs: 300_000.5, cpuMs: 12, memoryByteMs: 2 ** 60, requests: 5, status: { s1xx: 0, s2xx: 4, s3xx: 0, s4xx: 1, s5xx: 0 },
      bytesIn: 10, bytesOut: 20,
    }; // prettier-ignore
    const row = { seq: 1, fromMs: 1_700_000_000_000, toMs: 1_700_000_300_000, instances: [counters] };
    const metered = (source: string, seq: number) =>
      eventOf(source, seq, { type: "node.metered", subject: node, team: null, data: row });
    await acceptEvents(db.app, { source: "cell:fra.0", events: [metered("cell:fra.0", 1), metered("cell:fra.0", 2)] });
    const { rows } = await db.admin.query(
      "select seq::int, running_ms, memory_byte_ms, requests::int, requests_4xx::int from metering_counters where node_id = $1",
      [toUuid(node, "node")],
    );
    expect(rows).toEqual([{ seq: 1, running_ms: 300_000.5, memory_byte_ms: 2 ** 60, requests: 5, requests_4xx: 1 }]);
    const parents = await db.admin.query("select 1 from metering_rows where node_id = $1", [toUuid(node, "node")]);
    expect(parents.rows).toHaveLength(1);
  });

  it("does not stop at an event whose data it cannot read", async () => {
    const source = newApp();
    const events = [eventOf(source, 1, { type: "rollout.started", data: { rollout: "nonsense" } }), eventOf(source, 2)];
    expect(await acceptEvents(db.app, { source, events })).toEqual({ ok: true, value: { lastSeq: 2 } });
  });
});
