// One instance: its restarts, and how its state is told to the control plane and to the gateway.
import { describe, expect, test } from "vitest";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import { AGENT_LIMITS, agentLimitsFrom } from "../../../core/converge/limits.ts";
import { endpointState, type LocalState, observedStatus } from "../../../core/converge/local.ts";
import { afterEnd, crashesAfter, isGivenUp, restartDelayMs } from "../../../core/converge/restart.ts";

const NOW = 1_000_000;
const running: LocalState = { kind: "running", readySinceMs: 1, failure: null };
const failure = (code: InstanceFailure["code"] = "exited"): InstanceFailure => ({
  code,
  message: "why",
  exitCode: 1,
  signal: null,
  logTail: [],
});
const ended = (retryAtMs: number): LocalState => ({ kind: "ended", failure: failure(), endedAtMs: NOW, retryAtMs });

describe("restarts", () => {
  test("come at once, then after 1 s, doubled up to 5 min", () => {
    const delays = [1, 2, 3, 4, 5, 10, 11, 12, 50].map((crashes) => restartDelayMs(crashes, AGENT_LIMITS));
    expect(delays).toEqual([0, 1_000, 2_000, 4_000, 8_000, 256_000, 300_000, 300_000, 300_000]);
  });

  test("do not count what was not the instance's own doing", () => {
    const end = (code: InstanceFailure["code"], cause: "engine" | "missing" | null, readyForMs = 0) =>
      afterEnd(3, { code, cause, readyForMs }, AGENT_LIMITS);
    // It went down with its Engine: back at once, however often it crashed before.
    expect(end("exited", "engine")).toEqual({ crashes: 3, delayMs: 0 });
    // A full disk refused the fetch: nothing was tried, and nothing gets better by waiting longer and longer.
    expect(end("disk_pressure", null)).toEqual({ crashes: 3, delayMs: AGENT_LIMITS.diskRetryMs });
    expect(end("exited", "missing")).toEqual({ crashes: 4, delayMs: 4_000 });
    expect(end("out_of_memory", null)).toEqual({ crashes: 4, delayMs: 4_000 });
    expect(end("liveness_failed", null, 60_000)).toEqual({ crashes: 1, delayMs: 0 });
  });

  test("count anew after a run that was ready for long enough", () => {
    expect(crashesAfter(5, 0, AGENT_LIMITS)).toBe(6);
    expect(crashesAfter(5, AGENT_LIMITS.restartResetAfterReadyMs - 1, AGENT_LIMITS)).toBe(6);
    expect(crashesAfter(5, AGENT_LIMITS.restartResetAfterReadyMs, AGENT_LIMITS)).toBe(1);
  });

  test("are given up only for what no try can mend, and never after a first success", () => {
    expect(isGivenUp(failure("image_wrong_platform"), false)).toBe(true);
    expect(isGivenUp(failure("image_pull_failed"), false)).toBe(false);
    expect(isGivenUp(failure("image_wrong_platform"), true)).toBe(false);
  });
});

describe("an instance's state", () => {
  test.each<[LocalState, "run" | "drain" | "absent", ReturnType<typeof endpointState>]>([
    [running, "run", "serving"],
    [running, "drain", "draining"],
    [running, "absent", "gone"],
    [{ kind: "starting" }, "run", "starting"],
    [ended(NOW), "run", "starting"],
    [{ kind: "stopping" }, "run", "gone"],
    [{ kind: "done", exitCode: 0 }, "run", "starting"],
    [{ kind: "done", exitCode: 0 }, "absent", "gone"],
    [{ kind: "stopped", exitCode: 0, atMs: 1 }, "absent", null],
    [{ kind: "running", readySinceMs: 1, failure: failure() }, "run", "serving"],
  ])("%o with intent %s is %s to the gateway", (state, intent, expected) => {
    expect(endpointState(state, intent)).toBe(expected);
  });

  test("is reported with the reason it does not serve", () => {
    expect(observedStatus({ kind: "running", readySinceMs: 1, failure: failure() })).toMatchObject({ kind: "unready" });
    expect(observedStatus({ kind: "done", exitCode: 0 })).toEqual({ kind: "stopped", exitCode: 0 });
    expect(observedStatus(ended(NOW + 0.5))).toEqual({ kind: "backoff", failure: failure(), retryAtMs: NOW + 1 });
    expect(observedStatus({ kind: "preparing", pull: { doneBytes: 1, totalBytes: 2 } })).toMatchObject({
      kind: "pulling",
    });
  });
});

test("a tuning replaces limits by name and passes over what is not ours or not a number", () => {
  const limits = agentLimitsFrom({ heartbeatMs: 50, drainMs: 1, sampleMs: "soon", pollTimeoutMs: -1 });
  expect(limits).toEqual({ ...AGENT_LIMITS, heartbeatMs: 50 });
});
