// A folder as a bundle: a gzipped tar whose bytes, and so whose hash, depend on the files alone.
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readdirSync, readlinkSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import type { Pack } from "tar-stream";
import { BundleHash } from "../contracts/release.ts";
import { CommandFailure, EXIT } from "./failure.ts";

/** Never part of a bundle: version control, and the CLI's own files with their token. */
const ALWAYS_IGNORED = [".git", ".berth", ".DS_Store", ".env"];
const BUNDLE_BYTES_MAX = 100 * 1024 * 1024;

export interface Bundle {
  readonly hash: BundleHash;
  readonly bytes: Uint8Array;
  readonly files: number;
}

/** A link to a folder is one. Throws for anything else, and for what is not there. */
export function requireFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) throw new CommandFailure(`${folder} does not exist`, EXIT.usage);
  if (!found.isDirectory()) throw new CommandFailure(`${folder} is not a folder`, EXIT.usage);
}

/**
 * Packs a folder. Lines of its .berthignore name files or folders (relative, no patterns but a trailing `/`) to leave out.
 * Times and owners are left at zero, entries sorted: the same files give the same hash.
 */
export async function packFolder(folder: string): Promise<Bundle> {
  requireFolder(folder);
  const ignored = new Set([...ALWAYS_IGNORED, ...ignoreLines(folder)]);
  const tar = pack();
  const chunks: Buffer[] = [];
  const packed = (async () => {
    for await (const chunk of tar) chunks.push(chunk as Buffer);
  })();
  const files = addFolder(tar, folder, "", ignored);
  tar.finalize();
  await packed;
  if (files === 0) throw new CommandFailure(`${folder} has no files to deploy`, EXIT.usage);
  const bytes = gzipSync(Buffer.concat(chunks), { level: 6 });
  if (bytes.byteLength > BUNDLE_BYTES_MAX) {
    throw new CommandFailure(
      `The bundle of ${folder} is ${(bytes.byteLength / 1024 ** 2).toFixed(0)} MiB; at most 100 MiB can be deployed`,
      EXIT.usage,
      "Leave files out with a .berthignore, or build an image.",
    );
  }
  const hash = BundleHash.parse(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  return { hash, bytes, files };
}

function ignoreLines(folder: string): string[] {
  const path = join(folder, ".berthignore");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.map((line) => line.trim().replace(/\/$/, "")).filter((line) => line !== "" && !line.startsWith("#"));
}

function addFolder(tar: Pack, folder: string, prefix: string, ignored: ReadonlySet<string>): number {
  let files = 0;
  for (const name of readdirSync(join(folder, prefix)).toSorted()) {
    const path = prefix === "" ? name : `${prefix}/${name}`;
    if (ignored.has(name) || ignored.has(path)) continue;
    const full = join(folder, path);
    const stat = lstatSync(full);
    const mtime = new Date(0);
    if (stat.isDirectory()) files += addFolder(tar, folder, path, ignored);
    else if (stat.isSymbolicLink()) {
      tar.entry({ name: path, type: "symlink", linkname: readlinkSync(full), mtime });
      files += 1;
    } else if (stat.isFile()) {
      tar.entry({ name: path, mode: (stat.mode & 0o111) === 0 ? 0o644 : 0o755, mtime }, readFileSync(full));
      files += 1;
    }
  }
  return files;
}
