// Why a run or a start ended, as it is told: bounded text, and the last lines.
import type { InstanceFailure } from "../../../contracts/failures.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { Refused } from "../link/control.ts";
import { type Exit, StartFailed, type Unit } from "../runtime/runtime.ts";

const MIB = 1024 * 1024;
const { failureTextMax, logTailLines } = AGENT_LIMITS;

/** Of a strict singleton that was stopped because it may have been given up. */
export const FENCED: InstanceFailure = {
  code: "fenced",
  message: "no committed lease covered this strict singleton any more, so it was stopped",
  exitCode: null,
  signal: null,
  logTail: [],
};

/** Of a one-off instance that was begun when its agent ended, and of which nothing is left to tell how it went. */
export const UNSEEN_END: InstanceFailure = {
  code: "exited",
  message: "the agent was ended while this was being started: whether it ran is not known, and it is not run again",
  exitCode: null,
  signal: null,
  logTail: [],
};

/** A container that was made and never started has an exit code of 0 too; one that its Engine ended may not be through. */
export function hasSucceeded({ startedAtMs }: Unit, { exitCode, outOfMemory, cause }: Exit): boolean {
  return exitCode === 0 && startedAtMs > 0 && !outOfMemory && cause === undefined;
}

export function exitFailure(
  { exitCode, signal, outOfMemory, cause, why }: Exit,
  doom: Pick<InstanceFailure, "code" | "message"> | null,
  memoryBytes: number | null,
  logTail: readonly string[],
): InstanceFailure {
  const tail = logTail.slice(-logTailLines).map((line) => line.slice(0, failureTextMax));
  const end = { exitCode, signal, logTail: tail };
  const limit = memoryBytes === null ? "its limit" : `its limit of ${Math.round(memoryBytes / MIB)} MiB`;
  if (cause === "memory") {
    const message = `processes of it were killed for using more memory than ${limit}: ${why ?? "more often than it may"}`;
    return { code: "out_of_memory", message, ...end };
  }
  if (outOfMemory) {
    return { code: "out_of_memory", message: `it was killed for using more memory than ${limit}`, ...end };
  }
  if (cause === "disk") return { code: "out_of_disk", message: why ?? "it wrote more than its disk holds", ...end };
  if (cause === "logs") return { code: "log_flood", message: why ?? "it printed more than it may", ...end };
  if (signal === "SIGXFSZ") {
    return { code: "out_of_disk", message: "it was ended for writing a file that is larger than its disk", ...end };
  }
  if (doom !== null) return { ...doom, message: doom.message.slice(0, failureTextMax), ...end };
  if (cause === "engine") {
    return { code: "exited", message: "it ended with the Docker Engine, which was stopped or restarted", ...end };
  }
  if (cause === "missing") return { code: "exited", message: "its container was removed by somebody", ...end };
  const how =
    exitCode === null && signal === null
      ? "it ended while nobody was there to see how"
      : signal === null
        ? `it exited with code ${exitCode}`
        : `it was ended by ${signal}`;
  return { code: "exited", message: how, ...end };
}

/** Of a run that was ready and fails its readiness probe now. */
export function unreadyFailure(fault: string): InstanceFailure {
  const message = `readiness: ${fault}`.slice(0, failureTextMax);
  return { code: "never_ready", message, exitCode: null, signal: null, logTail: [] };
}

/** What is not an expected failure of a start is one nevertheless to the instance: it is told, and tried again. */
export function startFailureOf(error: unknown): InstanceFailure {
  if (error instanceof StartFailed) return error.failure;
  const message = (error instanceof Error ? error.message : String(error)).slice(0, failureTextMax);
  const none = { exitCode: null, signal: null, logTail: [] };
  if (error instanceof Refused) return { code: "environment_unavailable", message, ...none };
  // Not start_failed: an Engine that is away for a moment must not make an instance give up.
  return { code: "environment_unavailable", message: `this node could not start it: ${message}`, ...none };
}
