// The Engine's errors, as the reasons that people are told.
import type { InstanceFailure } from "../../../../contracts/failures.ts";
import { DISK_FULL } from "../disk-full.ts";
import { EngineAway, StartFailed } from "../runtime.ts";

export interface EngineError extends Error {
  readonly statusCode?: number;
  readonly json?: { readonly message?: string } | null;
}

export function statusOf(error: unknown): number | null {
  return (error as EngineError | null)?.statusCode ?? null;
}

export function messageOf(error: unknown): string {
  const { json, message } = error as EngineError;
  return (json?.message ?? message ?? String(error)).trim();
}

/** What a pull, or the look at a registry before it, failed of. Registries answer "denied" for what does not exist, too. */
export function pullFailure(reference: string, error: unknown): StartFailed {
  const message = messageOf(error);
  const code = pullCode(message, statusOf(error));
  return new StartFailed(code, `${reference}: ${message}`);
}

function pullCode(message: string, status: number | null): InstanceFailure["code"] {
  if (DISK_FULL.test(message)) return "disk_pressure";
  if (/no matching manifest|does not match the (specified|detected) platform|image operating system/i.test(message)) {
    return "image_wrong_platform";
  }
  if (/no such host|dial tcp|timeout|timed out|deadline exceeded|connection refused|tls|x509|EOF/i.test(message)) {
    return "image_pull_failed";
  }
  if (
    status === 404 ||
    /not found|manifest unknown|name unknown|does not exist|access denied|no such image/i.test(message)
  ) {
    return "image_not_found";
  }
  return "image_pull_failed";
}

/** What the creation or the start of a container failed of. */
export function startFailure(error: unknown): StartFailed {
  const message = messageOf(error);
  if (DISK_FULL.test(message)) return new StartFailed("disk_pressure", message);
  if (/exec format error/i.test(message)) return new StartFailed("image_wrong_platform", message);
  return new StartFailed("start_failed", message);
}

/** Whether the Engine itself is out of reach: nothing is known, and nothing may be concluded about what runs. */
export function isEngineAway(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof EngineAway) return true;
  return ["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE", "EACCES"].includes(code ?? "");
}
