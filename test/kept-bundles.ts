// A folder for a whole run, in which the first test that needs a bundle of the agent or of a Worker leaves it for the others.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

/** The processes that run test files inherit the variable. Not while files are watched: the source changes between runs. */
export default function setup({ vitest }: TestProject): (() => void) | undefined {
  if (vitest.config.watch || process.env.BERTH_KEPT_BUNDLES_DIR !== undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), "berth-bundles-"));
  process.env.BERTH_KEPT_BUNDLES_DIR = dir;
  return () => {
    delete process.env.BERTH_KEPT_BUNDLES_DIR;
    rmSync(dir, { recursive: true, force: true });
  };
}
