// Bundling takes a second of both cores: where many stacks of one source come up one after the other, it is done by the first.
import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * keptDir: what was made there under this name is linked to, else it is made and kept; undefined: made. Safe side by side.
 * A link, because Node keeps what it compiled by a file's real path: a copy would be compiled anew by each process.
 */
export async function madeOnce(
  keptDir: string | undefined,
  name: string,
  outfile: string,
  make: (outfile: string) => Promise<void>,
): Promise<void> {
  if (keptDir === undefined) return make(outfile);
  const kept = join(keptDir, name);
  if (!existsSync(kept)) {
    const whole = `${kept}.${randomUUID()}`;
    await make(whole);
    renameSync(whole, kept);
  }
  rmSync(outfile, { force: true });
  symlinkSync(kept, outfile);
}
