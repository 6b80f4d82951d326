// core's small parts: ids, drafts, fingerprints, attempts, limits.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TypeID } from "typeid-js";
import type { CellInputs, CellReplies } from "../../core/cell/types.ts";
import type { AppInputs, AppReplies } from "../../core/app/types.ts";
import type { AppRpc, CellRpc } from "../../durable-objects/rpc.ts";
import { AppId, InstanceId } from "../../contracts/ids.ts";
import { attemptsOf } from "../../core/attempts.ts";
import { draftOf } from "../../core/draft.ts";
import { idsOf } from "../../core/ids.ts";
import { fingerprintOf, seqKey } from "../../core/keys.ts";
import { emptyLayered, layeredDraft, layeredGet } from "../../core/layered.ts";
import { DEFAULT_LIMITS, limitsFrom } from "../../core/limits.ts";
import { SEED, announced } from "./seed.ts";

describe("minted ids", () => {
  it("are TypeIDs of a UUIDv7 at the step's time, differ within a step, and are the same in a replay", () => {
    const at = { nowMs: 1_700_000_000_123, seed: "00112233445566778899aabbccddeeff" };
    const mint = idsOf(at);
    const ids = Array.from({ length: 100 }, () => mint<InstanceId>("ins"));
    expect(new Set(ids).size).toBe(100);
    expect(idsOf(at)("ins")).toBe(ids[0]);
    for (const id of ids) expect(InstanceId.safeParse(id).success).toBe(true);
    const uuid = TypeID.fromString(ids[0]!).toUUID();
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16)).toBe(at.nowMs);
    expect(AppId.safeParse(ids[0]).success).toBe(false);
  });
});

describe(announced("a draft"), () => {
  it("reads like the table after its changes, and its changes make the table so", () => {
    const key = fc.constantFrom("a", "b", "c");
    const write = fc.tuple(key, fc.option(fc.nat(9)));
    fc.assert(
      fc.property(fc.dictionary(key, fc.nat(9)), fc.array(write), (before, writes) => {
        const durable = { rows: new Map(Object.entries(before)) };
        const untouched = new Map(durable.rows);
        const draft = draftOf<{ rows: number }>(durable);
        const expected = new Map(durable.rows);
        for (const [name, written] of writes) {
          if (written === null) draft.drop("rows", name);
          else draft.put("rows", name, written);
          if (written === null) expected.delete(name);
          else expected.set(name, written);
        }
        expect(new Map(draft.entries("rows"))).toEqual(expected);
        expect(durable.rows).toEqual(untouched);
        for (const change of draft.changes()) {
          if (change.kind === "put") durable.rows.set(change.key, change.value);
          else durable.rows.delete(change.key);
        }
        expect(durable.rows).toEqual(expected);
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe("small parts", () => {
  it("fingerprints equal values alike whatever the order of their keys, and tells others apart", () => {
    expect(fingerprintOf({ a: 1, b: [{ c: 2, d: undefined }] })).toBe(fingerprintOf({ b: [{ c: 2 }], a: 1 }));
    const bodies = Array.from({ length: 5_000 }, (_, n) => ({ replicas: n, name: `app-${n % 7}` }));
    expect(new Set(bodies.map(fingerprintOf)).size).toBe(5_000);
  });

  it("sorts keys of numbers like the numbers", () => {
    expect([seqKey(10), seqKey(9), seqKey(100)].sort()).toEqual([seqKey(9), seqKey(10), seqKey(100)]);
  });

  it("claims an effect once, then again after waits that double up to their limit", () => {
    let memory: ReadonlyMap<string, { tries: number; retryAtMs: number }> = new Map();
    const claimedAt: number[] = [];
    for (let nowMs = 0; nowMs <= 20; nowMs += 1) {
      const attempts = attemptsOf(memory, nowMs);
      if (attempts.claim("x", 1, 4)) claimedAt.push(nowMs);
      memory = attempts.done();
    }
    expect(claimedAt).toEqual([0, 1, 3, 7, 11, 15, 19]);
  });

  it("takes overrides of limits by name, ignores names of others, and refuses what is no number", () => {
    expect(limitsFrom(undefined)).toBe(DEFAULT_LIMITS);
    expect(limitsFrom('{"drainMs": 5, "agentOnly": 1}')).toEqual({ ...DEFAULT_LIMITS, drainMs: 5 });
    expect(() => limitsFrom('{"drainMs": "5"}')).toThrow("TUNING.drainMs");
    expect(() => limitsFrom("3")).toThrow("TUNING");
  });
});

/** Compiles only while the core takes what the RPC interfaces send, and answers what they promise. */
type Takes<Rpc, Inputs, Replies> = {
  [Method in keyof Inputs & keyof Rpc & keyof Replies]: Rpc[Method] extends (input: infer Input) => Promise<infer Reply>
    ? unknown extends Input
      ? Replies[Method] extends Reply
        ? true
        : Method
      : Input extends Inputs[Method]
        ? Replies[Method] extends Reply
          ? true
          : Method
        : Method
    : Method;
};
const appFits: Takes<AppRpc, AppInputs, AppReplies> extends Record<keyof AppInputs, true> ? true : never = true;
const cellFits: Takes<CellRpc, CellInputs, CellReplies> extends Record<keyof CellInputs, true> ? true : never = true;

describe("the core's events", () => {
  it("fit the objects' RPC", () => {
    expect([appFits, cellFits]).toEqual([true, true]);
  });
});

describe("a draft that is watched", () => {
  it("tells of every write that changes something, with what was there before", () => {
    const heard: unknown[] = [];
    const durable = { rows: new Map([["a", 1]]) };
    const draft = draftOf<{ rows: number }>(durable, (_table, key, before, after) => heard.push([key, before, after]));
    draft.put("rows", "a", 1);
    draft.put("rows", "a", 2);
    draft.put("rows", "b", 3);
    draft.drop("rows", "b");
    draft.drop("rows", "b");
    draft.drop("rows", "a");
    draft.put("rows", "a", 4);
    expect(heard).toEqual([
      ["a", 1, 2],
      ["b", undefined, 3],
      ["b", 3, undefined],
      ["a", 2, undefined],
      ["a", undefined, 4],
    ]);
    expect([...draft.values("rows")]).toEqual([4]);
  });
});

describe("a layered map", () => {
  it(announced("reads as a map does, and every state of it stays as it was"), () => {
    const writes = fc.array(fc.array(fc.tuple(fc.nat(20), fc.nat(1_000)), { maxLength: 3 }), { maxLength: 60 });
    fc.assert(
      fc.property(writes, (steps) => {
        const states = [{ layers: emptyLayered<number, number>(), map: new Map<number, number>() }];
        for (const step of steps) {
          const last = states.at(-1)!;
          const draft = layeredDraft(last.layers);
          const map = new Map(last.map);
          for (const [key, value] of step) {
            draft.set(key, value);
            map.set(key, value);
          }
          states.push({ layers: draft.done(), map });
        }
        for (const { layers, map } of states) {
          for (let key = 0; key <= 20; key += 1) expect(layeredGet(layers, key)).toBe(map.get(key));
        }
      }),
      { seed: SEED, numRuns: 50 },
    );
  });
});
