// What holds of a node's plan for every document and state.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredDocument } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import { converge, type ConvergeInput } from "../../../core/converge/converge.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { LocalState } from "../../../core/converge/local.ts";
import { ended, failure, id, ins, local, NOW, running, wanted } from "./cases.ts";

const anyState: fc.Arbitrary<LocalState> = fc.oneof(
  fc.constant<LocalState>({ kind: "preparing", pull: null }),
  fc.constant<LocalState>({ kind: "starting" }),
  fc.constant<LocalState>(running),
  fc.integer({ min: -1_000, max: 1_000 }).map((offset) => ended(NOW + offset)),
  fc.constantFrom<InstanceFailure["code"][]>("image_not_found", "exited").map((code) => ended(NOW, code)),
  fc.constant<LocalState>({ kind: "failed", failure: failure() }),
  fc.constant<LocalState>({ kind: "stopping" }),
  fc.integer({ min: 0, max: 60_000 }).map((age): LocalState => ({ kind: "stopped", exitCode: 0, atMs: NOW - age })),
);

const anyInput: fc.Arbitrary<ConvergeInput> = fc
  .record({
    desired: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 })), {
      selector: ([n]) => n,
    }),
    local: fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 }), anyState, fc.boolean()),
      {
        selector: ([n]) => n,
      },
    ),
    fences: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 }), fc.boolean()), {
      selector: ([n]) => n,
    }),
    strict: fc.subarray([1, 2, 3, 4, 5, 6]),
    covered: fc.boolean(),
  })
  .map(({ desired, local: locals, fences, strict, covered }) => ({
    desired: {
      ...DesiredDocument.parse({ node: id("node", 1), revision: 7, routes: {}, instances: [] }),
      instances: desired.map(([n, generation]) =>
        wanted(n, { generation, singleton: strict.includes(n) ? "strict" : null }),
      ),
    },
    local: locals.map(([n, generation, state, everReady]) => local(n, state, { generation, everReady })),
    fences: new Map(fences.map(([n, generation, stopped]) => [ins(n), { generation, stopped }])),
    nowMs: NOW,
    limits: AGENT_LIMITS,
    covered,
  }));

describe("for every document and state", () => {
  const holds = (property: (input: ConvergeInput) => void) =>
    fc.assert(fc.property(anyInput, property), { numRuns: 500 });

  test("everything absent is stopped, is stopping, or has stopped", () =>
    holds((input) => {
      const stopped = new Set(converge(input).actions.flatMap((at) => (at.kind === "stop" ? [at.instance] : [])));
      for (const { instance, generation, state } of input.local) {
        const named = input.desired.instances.some((at) => at.instance === instance && at.generation <= generation);
        if (!named) expect(stopped.has(instance) || ["stopping", "stopped"].includes(state.kind)).toBe(true);
      }
    }));

  test("nothing is started that is absent, fenced, stopped for good, or here already", () =>
    holds((input) => {
      for (const action of converge(input).actions) {
        if (action.kind !== "start" && action.kind !== "restart") continue;
        const named = input.desired.instances.find((at) => at.instance === action.instance);
        const here = input.local.find((at) => at.instance === action.instance);
        const fence = input.fences.get(action.instance);
        expect(named).toBeDefined();
        if (fence !== undefined) expect(named!.generation).toBeGreaterThanOrEqual(fence.generation);
        if (action.kind === "restart") expect(here?.state.kind).toBe("ended");
        else {
          expect(fence?.stopped === true && fence.generation === named!.generation).toBe(false);
          expect(here === undefined || (here.generation < named!.generation && here.state.kind === "stopped")).toBe(
            true,
          );
        }
      }
    }));

  test("without a lease no strict singleton is started, and none that may run is left out", () =>
    holds((input) => {
      const { actions } = converge({ ...input, covered: false });
      const strict = new Set(input.desired.instances.flatMap((at) => (at.singleton === "strict" ? at.instance : [])));
      const over = ["stopping", "stopped", "failed"];
      for (const { kind, instance } of actions) {
        if (strict.has(instance)) expect(["start", "restart"]).not.toContain(kind);
      }
      for (const { instance, state } of input.local) {
        if (!strict.has(instance) || over.includes(state.kind)) continue;
        const ends = actions.some((at) => at.instance === instance && (at.kind === "fence" || at.kind === "stop"));
        const newer = input.desired.instances.find((at) => at.instance === instance)!.generation;
        const local = input.local.find((at) => at.instance === instance)!;
        // An older document than what runs here: the fences say so, and nothing is concluded from it.
        if (newer >= local.generation && (input.fences.get(instance)?.generation ?? 0) <= newer)
          expect(ends).toBe(true);
      }
    }));

  test("no start stands before a withdrawal or a stop, and no instance has two starts", () =>
    holds((input) => {
      const made = converge(input).actions.map(({ kind }) => kind);
      const firstStart = made.findIndex((kind) => kind === "start" || kind === "restart");
      const lastStop = Math.max(made.lastIndexOf("stop"), made.lastIndexOf("withdraw"));
      if (firstStart >= 0) expect(lastStop).toBeLessThan(firstStart);
      const starts = converge(input).actions.filter(({ kind }) => kind === "start" || kind === "restart");
      expect(new Set(starts.map(({ instance }) => instance)).size).toBe(starts.length);
    }));

  test("a plan without actions says why, and the same input makes the same plan", () =>
    holds((input) => {
      const made = converge(input);
      const busyLeaving = input.local.some(({ state }) => state.kind === "stopping" || state.kind === "stopped");
      if (made.actions.length === 0 && !busyLeaving) expect(made.notes.length).toBeGreaterThan(0);
      expect(converge(input)).toEqual(made);
    }));
});
