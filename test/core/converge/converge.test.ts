// What a node does next: tables of single cases.
import { describe, expect, test } from "vitest";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import { type Fence, printPlan } from "../../../core/converge/converge.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import type { LocalInstance, LocalState } from "../../../core/converge/local.ts";
import { ended, failure, ins, kinds, local, NOW, plan, running, wanted } from "./cases.ts";

type Case = [string, DesiredInstance[], LocalInstance[], [InstanceId, Fence][], string[], RegExp | null];

describe("the plan", () => {
  const cases: Case[] = [
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
    [
      "does not wait out an end in the future: the clock was set back",
      [wanted(1)],
      [local(1, { ...{ kind: "ended", failure: failure() }, endedAtMs: NOW + 3_600_000, retryAtMs: NOW + 3_600_000 })],
      [],
      ["restart 1"],
      null,
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
    ...(["exited", "out_of_memory", "timed_out"] as const).map((code): Case => [
      `runs a one-off instance once, whatever it ended of: ${code}`,
      [wanted(1, { job: { timeoutMs: 1 } })],
      [local(1, ended(NOW, code))],
      [],
      ["give_up 1"],
      null,
    ]),
    [
      "tries again to start a one-off instance that has not run yet",
      [wanted(1, { job: { timeoutMs: 1 } })],
      [local(1, ended(NOW, "image_pull_failed"))],
      [],
      ["restart 1"],
      null,
    ],
    [
      "leaves alone a one-off instance that is done",
      [wanted(1, { job: { timeoutMs: 1 } })],
      [local(1, { kind: "done", exitCode: 0 })],
      [],
      [],
      /done/,
    ],
    [
      "stops and removes a one-off instance that is done once it is absent",
      [],
      [local(1, { kind: "done", exitCode: 0 })],
      [],
      ["withdraw 1", "stop 1"],
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
