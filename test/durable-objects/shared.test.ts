// What the objects share: rows that change together and keep their order, migrations that run once, alarms, calls.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { callObject } from "../../durable-objects/shared/call.ts";
import { LAYOUT } from "../../durable-objects/shared/layout.ts";
import { migrate } from "../../durable-objects/shared/migrations.ts";
import { RowTables } from "../../durable-objects/shared/row-tables.ts";
import { Schedule } from "../../durable-objects/shared/schedule.ts";

interface Tables {
  readonly fruit: { readonly count: number };
  readonly bowl: string;
}
const TABLES = ["fruit", "bowl"] as const;

let made = 0;

/** A fresh storage of the native layout: that of a Region object which nobody asks anything. */
function inStorage<Value>(look: (storage: DurableObjectStorage) => Promise<Value> | Value): Promise<Value> {
  const stub = env.REGION.getByName(`shared-${(made += 1)}`);
  return runInDurableObject(stub as never, (_region: never, { storage }) => look(storage));
}

describe("row tables", () => {
  it("read the same, in the same order, before and after a restart", () =>
    inStorage((storage) => {
      const tables = new RowTables<Tables>(storage, TABLES);
      tables.apply([
        { kind: "put", table: "fruit", key: "pear", value: { count: 1 } },
        { kind: "put", table: "fruit", key: "apple", value: { count: 2 } },
        { kind: "put", table: "bowl", key: "pear", value: "blue" },
      ]);
      tables.apply([
        { kind: "put", table: "fruit", key: "pear", value: { count: 3 } },
        { kind: "delete", table: "fruit", key: "apple" },
        { kind: "put", table: "fruit", key: "fig", value: { count: 4 } },
        { kind: "put", table: "fruit", key: "apple", value: { count: 5 } },
      ]);
      const again = new RowTables<Tables>(storage, TABLES).durable;
      expect([...again.fruit]).toEqual([...tables.durable.fruit]);
      expect([...again.fruit.keys()]).toEqual(["pear", "fig", "apple"]);
      expect([...again.bowl]).toEqual([["pear", "blue"]]);
    }));

  it("change in memory and in SQLite together, or not at all", () =>
    inStorage((storage) => {
      const tables = new RowTables<Tables>(storage, TABLES);
      tables.apply([{ kind: "put", table: "bowl", key: "a", value: "before" }]);
      const unwritable = {
        toJSON: () => {
          throw new Error("cannot be written");
        },
      };
      expect(() =>
        tables.apply([
          { kind: "put", table: "bowl", key: "a", value: "after" },
          { kind: "put", table: "bowl", key: "b", value: unwritable as unknown as string },
        ]),
      ).toThrow("cannot be written");
      expect([...tables.durable.bowl]).toEqual([["a", "before"]]);
      expect([...new RowTables<Tables>(storage, TABLES).durable.bowl]).toEqual([["a", "before"]]);
    }));
});

describe("migrations", () => {
  it("run each once and in order, also when more are appended later", () =>
    inStorage((storage) => {
      const ran: string[] = [];
      const first = [...LAYOUT, () => void ran.push("second")];
      migrate(storage, first);
      migrate(storage, first);
      migrate(storage, [...first, () => void ran.push("third")]);
      expect(ran).toEqual(["second", "third"]);
    }));

  it("leave nothing behind when one fails", () =>
    inStorage((storage) => {
      const failing = (sql: SqlStorage): void => {
        sql.exec("CREATE TABLE half (done INTEGER)");
        throw new Error("no further");
      };
      expect(() => migrate(storage, [...LAYOUT, failing])).toThrow("no further");
      expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'half'").toArray()).toEqual([]);
      let ran = false;
      migrate(storage, [...LAYOUT, () => void (ran = true)]);
      expect(ran).toBe(true);
    }));

  it("refuse the storage of a newer version", () =>
    inStorage((storage) => {
      migrate(storage, [...LAYOUT, () => {}]);
      expect(() => migrate(storage, LAYOUT)).toThrow(/newer than this code/);
    }));
});

describe("the schedule", () => {
  it("arms the alarm for the earliest entry and remembers every entry over a restart", () =>
    inStorage(async (storage) => {
      const nowMs = Date.now();
      const schedule = new Schedule(storage);
      await schedule.load();
      schedule.set("late", nowMs + 60_000);
      schedule.set("soon", nowMs + 30_000);
      schedule.ensureArmed(nowMs);
      expect(await storage.getAlarm()).toBe(nowMs + 30_000);
      const again = new Schedule(storage);
      await again.load();
      expect(again.nextAtMs()).toBe(nowMs + 30_000);
      await storage.deleteAlarm();
    }));

  it("writes nothing when an entry moves to later, and catches up when the alarm comes", () =>
    inStorage(async (storage) => {
      const nowMs = Date.now();
      const schedule = new Schedule(storage);
      await schedule.load();
      schedule.set("tick", nowMs + 20_000);
      schedule.ensureArmed(nowMs);
      const setAlarm = vi.spyOn(storage, "setAlarm");
      for (let beat = 1; beat <= 10; beat += 1) {
        schedule.set("tick", nowMs + 20_000 + beat * 2_000);
        schedule.ensureArmed(nowMs + beat);
      }
      expect(setAlarm).not.toHaveBeenCalled();
      schedule.alarmSpent();
      schedule.alarmEnded(nowMs + 20_000);
      expect(await storage.getAlarm()).toBe(nowMs + 40_000);
      expect(storage.sql.exec("SELECT name, at_ms FROM schedule").toArray()).toEqual([
        { name: "tick", at_ms: nowMs + 40_000 },
      ]);
      await storage.deleteAlarm();
    }));

  it("forgets an entry that is no longer due, at the end of the alarm", () =>
    inStorage(async (storage) => {
      const nowMs = Date.now();
      const schedule = new Schedule(storage);
      await schedule.load();
      schedule.set("tick", nowMs + 20_000);
      schedule.ensureArmed(nowMs);
      schedule.set("tick", null);
      schedule.alarmSpent();
      schedule.alarmEnded(nowMs + 20_000);
      expect(storage.sql.exec("SELECT name FROM schedule").toArray()).toEqual([]);
      await storage.deleteAlarm();
    }));

  it("sets an alarm anew that should have come long ago", () =>
    inStorage(async (storage) => {
      const nowMs = Date.now();
      const schedule = new Schedule(storage);
      await schedule.load();
      schedule.set("tick", nowMs + 60_000);
      schedule.ensureArmed(nowMs);
      const overdueMs = nowMs + 60_000 + DEFAULT_LIMITS.alarmOverdueMs + 1;
      schedule.ensureArmed(overdueMs);
      expect(await storage.getAlarm()).toBe(overdueMs);
      await storage.deleteAlarm();
    }));
});

describe("a call between objects", () => {
  afterEach(() => vi.useRealTimers());

  const fails = (marks: object, times: number) => {
    let calls = 0;
    return {
      calls: () => calls,
      call: async (): Promise<string> => {
        calls += 1;
        if (calls <= times) throw Object.assign(new Error("it broke"), marks);
        return "answer";
      },
    };
  };

  it("is tried again when the platform says that it may", async () => {
    const target = fails({ retryable: true }, 2);
    expect(await callObject(target.call)).toEqual({ kind: "answered", value: "answer" });
    expect(target.calls()).toBe(3);
  });

  it("is given up after a few tries", async () => {
    const target = fails({ retryable: true }, 99);
    expect(await callObject(target.call)).toEqual({ kind: "unanswered", message: "it broke" });
    expect(target.calls()).toBe(DEFAULT_LIMITS.callTriesMax);
  });

  it("is not repeated when the object is overloaded, nor when nobody knows what happened", async () => {
    for (const marks of [{ retryable: true, overloaded: true }, {}, { retryable: false }]) {
      const target = fails(marks, 99);
      expect(await callObject(target.call)).toEqual({ kind: "unanswered", message: "it broke" });
      expect(target.calls()).toBe(1);
    }
  });

  it("is given up when no answer comes", async () => {
    vi.useFakeTimers();
    const outcome = callObject(() => new Promise<never>(() => {}));
    await vi.advanceTimersByTimeAsync(DEFAULT_LIMITS.callTimeoutMs);
    expect(await outcome).toEqual({
      kind: "unanswered",
      message: `no answer within ${DEFAULT_LIMITS.callTimeoutMs} ms`,
    });
  });
});
