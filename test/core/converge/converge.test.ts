// What a node does next: tables of single cases, and properties over arbitrary documents and states.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredDocument, type DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import { type Action, converge, type ConvergeInput, type Fence, printPlan } from "../../../core/converge/converge.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { LocalInstance, LocalState } from "../../../core/converge/local.ts";

const NOW = 1_000_000;
const id = (prefix: string, n: number) => `${prefix}_0${String(n).padStart(25, "0")}`;
const ins = (n: number) => id("ins", n) as InstanceId;
const failure = (code: InstanceFailure["code"] = "exited"): InstanceFailure => ({
  code,
  message: "why",
  exitCode: 1,
  signal: null,
  logTail: [],
});

function wanted(n: number, over: Partial<DesiredInstance> = {}): DesiredInstance {
  const { instances } = DesiredDocument.parse({
    node: id("node", 1),
    revision: 1,
    routes: {},
    instances: [
      {
        ...{ instance: ins(n), generation: 1, app: id("app", 1), appName: "a", team: id("team", 1) },
        ...{ release: id("rel", 1), version: 1, ordinal: 0, intent: "run", port: 80, stopGraceMs: 0 },
        ...{ source: { kind: "image", reference: "a", digest: null }, resources: {}, probes: {} },
        ...{ readOnlyRoot: false, hasEnvironment: false, privateImage: false },
        ...over,
      },
    ],
  });
  return instances[0] as DesiredInstance;
}

function local(n: number, state: LocalState, over: Partial<LocalInstance> = {}): LocalInstance {
  return { instance: ins(n), generation: 1, state, crashes: 0, restarts: 0, everReady: false, ...over };
}

function plan(
  instances: DesiredInstance[],
  locals: LocalInstance[],
  fences: [InstanceId, Fence][] = [],
  covered = true,
) {
  const desired = DesiredDocument.parse({ node: id("node", 1), revision: 7, routes: {}, instances: [] });
  return converge({
    desired: { ...desired, instances },
    local: locals,
    fences: new Map(fences),
    nowMs: NOW,
    limits: AGENT_LIMITS,
    covered,
  });
}

const kinds = (actions: readonly Action[]) =>
  actions.map(({ kind, instance }) => `${kind} ${Number(instance.slice(5))}`);
const running: LocalState = { kind: "running", readySinceMs: 1, failure: null };
const ended = (retryAtMs: number, code: InstanceFailure["code"] = "exited"): LocalState => ({
  kind: "ended",
  failure: failure(code),
  endedAtMs: NOW - 10,
  retryAtMs,
});

describe("the plan", () => {
  const cases: [string, DesiredInstance[], LocalInstance[], [InstanceId, Fence][], string[], RegExp | null][] = [
    ["starts what is in the document and not here", [wanted(1)], [], [], ["start 1"], null],
    ["leaves alone what runs", [wanted(1)], [local(1, running)], [], [], /nothing to do: running/],
    [
      "leaves alone what is on its way",
      [wanted(1)],
      [local(1, { kind: "preparing", pull: null })],
      [],
      [],
      /preparing/,
    ],
    ["withdraws and stops what is absent", [], [local(1, running)], [], ["withdraw 1", "stop 1"], null],
    [
      "stops what is absent while it is only starting",
      [],
      [local(1, { kind: "starting" })],
      [],
      ["withdraw 1", "stop 1"],
      null,
    ],
    [
      "stops what is absent even where it has failed",
      [],
      [local(1, { kind: "failed", failure: failure() })],
      [],
      ["withdraw 1", "stop 1"],
      null,
    ],
    ["does not stop twice", [], [local(1, { kind: "stopping" })], [], [], null],
    ["restarts at once when it is due", [wanted(1)], [local(1, ended(NOW))], [], ["restart 1"], null],
    [
      "says how long it backs off",
      [wanted(1)],
      [local(1, ended(NOW + 400))],
      [],
      [],
      /backing off for 400 ms after exited/,
    ],
    ["gives up what cannot be mended", [wanted(1)], [local(1, ended(NOW, "image_not_found"))], [], ["give_up 1"], null],
    [
      "retries for ever what was ready once",
      [wanted(1)],
      [local(1, ended(NOW, "start_failed"), { everReady: true })],
      [],
      ["restart 1"],
      null,
    ],
    ["leaves a failed one failed", [wanted(1)], [local(1, { kind: "failed", failure: failure() })], [], [], /failed/],
    [
      "never starts again what was stopped here",
      [wanted(1)],
      [],
      [[ins(1), { generation: 1, stopped: true }]],
      [],
      /final/,
    ],
    [
      "starts after a restart what had been seen and not stopped",
      [wanted(1)],
      [],
      [[ins(1), { generation: 1, stopped: false }]],
      ["start 1"],
      null,
    ],
    [
      "refuses a generation lower than was seen",
      [wanted(1)],
      [],
      [[ins(1), { generation: 2, stopped: false }]],
      [],
      /fenced: generation 2/,
    ],
    [
      "ends an older generation before the newer one starts",
      [wanted(1, { generation: 2 })],
      [local(1, running)],
      [],
      ["withdraw 1", "stop 1"],
      /waits until 1 has stopped/,
    ],
    [
      "starts the newer generation once the older has stopped",
      [wanted(1, { generation: 2 })],
      [local(1, { kind: "stopped", exitCode: 0, atMs: NOW })],
      [],
      ["forget 1", "start 1"],
      null,
    ],
    [
      "withdraws and stops before it starts",
      [wanted(2)],
      [local(1, running)],
      [],
      ["withdraw 1", "stop 1", "start 2"],
      null,
    ],
    ["keeps a draining instance running", [wanted(1, { intent: "drain" })], [local(1, running)], [], [], /running/],
    ["says that there is nothing to do", [], [], [], [], /names no instance and none is here/],
    [
      "forgets a stopped one after its time",
      [],
      [local(1, { kind: "stopped", exitCode: 0, atMs: NOW - AGENT_LIMITS.stoppedReportMs })],
      [],
      ["forget 1"],
      null,
    ],
  ];
  test.each(cases)("%s", (_name, instances, locals, fences, actions, note) => {
    const made = plan(instances, locals, fences);
    expect(kinds(made.actions)).toEqual(actions);
    if (note !== null) expect(printPlan(made).join("\n")).toMatch(note);
  });

  test("wakes at the earliest moment at which it would be another one", () => {
    const made = plan(
      [wanted(1), wanted(2)],
      [local(1, ended(NOW + 500)), local(2, ended(NOW + 300)), local(3, { kind: "stopped", exitCode: 0, atMs: NOW })],
    );
    expect(made.wakeAtMs).toBe(NOW + 300);
    expect(plan([wanted(1)], [local(1, running)]).wakeAtMs).toBeNull();
  });
});

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

describe("a strict singleton", () => {
  const strict = [wanted(1, { singleton: "strict" })];
  const kindsOf = (locals: LocalInstance[], covered: boolean, instances = strict) =>
    kinds(plan(instances, locals, [], covered).actions);

  test("starts and runs only while a lease covers it", () => {
    expect(kindsOf([], true)).toEqual(["start 1"]);
    expect(kindsOf([], false)).toEqual([]);
    expect(plan(strict, [], [], false).notes.join()).toMatch(/waits for a lease/);
    expect(kindsOf([local(1, running)], true)).toEqual([]);
  });

  const ends: [string, LocalState][] = [
    ["runs", running],
    ["starts", { kind: "starting" }],
    ["is prepared", { kind: "preparing", pull: null }],
    ["waits for its next start", ended(NOW + 500)],
    ["would be started again now", ended(NOW - 1)],
  ];
  test.each(ends)("that %s without one is fenced", (_name, state) => {
    expect(kindsOf([local(1, state)], false)).toEqual(["fence 1"]);
  });

  test("that is over already is not fenced again", () => {
    for (const state of [
      { kind: "stopping" },
      { kind: "failed", failure: failure("fenced") },
      { kind: "stopped", exitCode: null, atMs: NOW },
    ] as const) {
      expect(kindsOf([local(1, state)], false)).toEqual([]);
    }
  });

  test("is fenced before anything else happens, and others do not notice", () => {
    const others = [wanted(2), wanted(3, { singleton: "available" })];
    const locals = [local(1, running), local(3, running), local(4, running)];
    expect(kindsOf(locals, false, [...strict, ...others])).toEqual(["fence 1", "withdraw 4", "stop 4", "start 2"]);
  });
});

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
