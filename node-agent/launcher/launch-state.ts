// Which agent the launcher starts: one durable file in the agent's folder, written by the agent before it makes way for another,
// and by the launcher when that one does not come back. Shared by both; nothing but Node's own modules, because the launcher stays.
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

export const LAUNCH_FILE = "launch.json";

export interface Bundle {
  readonly path: string;
  /** null: of the one that was installed by hand, which says it itself. */
  readonly version: string | null;
  readonly sha256: string;
}

/**
 * installed: hash of the bundle that lies beside the launcher; another one there is an operator's word, and all else is void.
 * attempt: what the current one is on trial for, until its first acknowledged heartbeat; null: it has proven itself.
 */
export interface LaunchState {
  readonly installed: string;
  readonly current: Bundle;
  readonly previous: Bundle | null;
  readonly attempt: string | null;
  readonly reverted: { readonly attempt: string; readonly version: string | null; readonly why: string } | null;
}

/** null: there is none, or none that can be read: the installed bundle is started then. */
export function readLaunchState(dir: string): LaunchState | null {
  try {
    const state = JSON.parse(readFileSync(join(dir, LAUNCH_FILE), "utf8")) as Partial<LaunchState>;
    return typeof state.installed === "string" && isBundle(state.current) ? withDefaults(state as LaunchState) : null;
  } catch {
    return null;
  }
}

function withDefaults({ installed, current, previous, attempt, reverted }: Partial<LaunchState>): LaunchState {
  return {
    installed: installed as string,
    current: current as Bundle,
    previous: isBundle(previous) ? previous : null,
    attempt: attempt ?? null,
    reverted: reverted ?? null,
  };
}

function isBundle(value: unknown): value is Bundle {
  const { path, sha256 } = (value ?? {}) as Partial<Bundle>;
  return typeof path === "string" && typeof sha256 === "string";
}

/** Survives a loss of power once it returns. */
export function writeLaunchState(dir: string, state: LaunchState): void {
  const path = join(dir, LAUNCH_FILE);
  writeSynced(`${path}.tmp`, JSON.stringify(state));
  renameSync(`${path}.tmp`, path);
  syncFolder(dir);
}

function writeSynced(path: string, text: string): void {
  const file = openSync(path, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(dir: string): void {
  const folder = openSync(dir, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** null where it cannot be read. */
export function sha256Of(path: string): string | null {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  } catch {
    return null;
  }
}
