// Bundles on this node's disk: fetched once, checked against their hash, unpacked with care, and packed again for the Engine.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, realpath, rename, rm, stat, symlink, utimes } from "node:fs/promises";
import { dirname, join, normalize, relative, resolve } from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type Extract, extract, type Header, type Pack, pack } from "tar-stream";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { DiskGate } from "../disk/disk-gate.ts";
import { DISK_FULL } from "./disk-full.ts";
import { StartFailed } from "./runtime.ts";

export interface Unpacked {
  /** A plain tar of the same files, all owned by root: what a container is filled with. */
  readonly archive: string;
  readonly folder: string;
}

/** Fetches the gzipped tar of a hash. */
export type FetchBundle = (hash: string, instance: string, signal: AbortSignal) => Promise<Readable>;

export class Bundles {
  readonly #dir: string;
  readonly #limits: AgentLimits;
  readonly #gate: DiskGate;
  readonly #fetch: FetchBundle;
  readonly #underWay = new Map<string, Promise<Unpacked>>();

  constructor(dir: string, limits: AgentLimits, gate: DiskGate, fetch: FetchBundle) {
    this.#dir = join(dir, "bundles");
    this.#gate = gate;
    this.#limits = limits;
    this.#fetch = fetch;
  }

  /** Once per hash, however many instances wait for it. Throws StartFailed. */
  ensure(hash: string, instance: string, signal: AbortSignal): Promise<Unpacked> {
    const known = this.#underWay.get(hash);
    if (known !== undefined) {
      return known.catch((error: unknown) => {
        // Whoever began it was stopped; we were not.
        if ((error as Error | null)?.name === "AbortError" && !signal.aborted)
          return this.ensure(hash, instance, signal);
        throw error;
      });
    }
    const made = this.#make(hash, instance, signal).finally(() => this.#underWay.delete(hash));
    this.#underWay.set(hash, made);
    return made;
  }

  /** What is unpacked here. usedAtMs: by this host's wall clock. */
  async list(): Promise<{ hash: string; usedAtMs: number }[]> {
    const found = await readdir(this.#dir).catch(() => []);
    const listed = found.map(async (name) => {
      const { mtimeMs } = (await stat(join(this.#dir, name)).catch(() => null)) ?? { mtimeMs: 0 };
      return /^[0-9a-f]{64}$/.test(name) ? [{ hash: `sha256:${name}`, usedAtMs: mtimeMs }] : [];
    });
    return (await Promise.all(listed)).flat();
  }

  async remove(hash: string): Promise<void> {
    if (this.#underWay.has(hash)) return;
    await rm(join(this.#dir, nameOf(hash)), { recursive: true, force: true });
  }

  /** What an agent left half unpacked. */
  async removeUnfinished(): Promise<void> {
    const found = await readdir(this.#dir).catch(() => []);
    for (const name of found) {
      if (!name.endsWith(".tmp") || this.#underWay.has(`sha256:${name.slice(0, -4)}`)) continue;
      await rm(join(this.#dir, name), { recursive: true, force: true });
    }
  }

  async #make(hash: string, instance: string, signal: AbortSignal): Promise<Unpacked> {
    const home = join(this.#dir, nameOf(hash));
    const unpacked = { archive: join(home, "files.tar"), folder: join(home, "files") };
    if (
      await stat(home).then(
        () => true,
        () => false,
      )
    ) {
      const now = new Date();
      await utimes(home, now, now).catch(() => undefined);
      return unpacked;
    }
    const full = await this.#gate.admit(`bundle ${hash}`);
    const beside = `${home}.tmp`;
    try {
      await rm(beside, { recursive: true, force: true });
      await mkdir(join(beside, "files"), { recursive: true, mode: 0o755 });
      const source = await this.#fetch(hash, instance, signal);
      const seen = createHash("sha256");
      const packed = join(beside, "bundle.tgz");
      await pipeline(source, tee(seen), createWriteStream(packed), { signal: full });
      const digest = `sha256:${seen.digest("hex")}`;
      if (digest !== hash) throw new Error(`its hash is ${digest}`);
      await this.#unpack(packed, join(beside, "files"), join(beside, "files.tar"));
      await rm(packed);
      await rename(beside, home);
      return unpacked;
    } catch (error) {
      await rm(beside, { recursive: true, force: true });
      signal.throwIfAborted();
      if (full.aborted) throw this.#gate.refusal(`bundle ${hash}`);
      const why = error instanceof Error ? error.message : String(error);
      throw new StartFailed(DISK_FULL.test(why) ? "disk_pressure" : "bundle_unavailable", `bundle ${hash}: ${why}`);
    }
  }

  /** One pass: each entry is checked, written to disk and to the new archive. */
  async #unpack(packed: string, folder: string, archive: string): Promise<void> {
    const entries = extract();
    const repacked = pack();
    const streams = Promise.all([
      pipeline(createReadStream(packed), createGunzip(), entries),
      pipeline(repacked, createWriteStream(archive)),
    ]);
    streams.catch(() => undefined);
    try {
      await this.#unpackEntries(entries, folder, repacked);
      repacked.finalize();
      await streams;
    } catch (error) {
      entries.destroy();
      repacked.destroy();
      await streams.catch(() => undefined);
      throw error;
    }
  }

  async #unpackEntries(entries: Extract, folder: string, repacked: Pack): Promise<void> {
    let files = 0;
    let bytes = 0;
    for await (const entry of entries) {
      const { header } = entry;
      files += 1;
      bytes += header.size ?? 0;
      if (files > this.#limits.bundleFilesMax) throw new Error(`it has more than ${this.#limits.bundleFilesMax} files`);
      if (bytes > this.#limits.bundleUnpackedBytesMax) {
        throw new Error(`it is larger than ${this.#limits.bundleUnpackedBytesMax} bytes unpacked`);
      }
      await unpackEntry(entry, header, folder, repacked);
    }
  }
}

type Entry = Extract extends AsyncIterable<infer Source> ? Source : never;
type Sink = ReturnType<Pack["entry"]>;

async function unpackEntry(entry: Entry, header: Header, folder: string, repacked: Pack): Promise<void> {
  const name = safeName(header.name);
  const path = join(folder, name);
  const mode = ((header.mode ?? 0o644) & 0o755) | 0o400;
  const owned = { name, mode, mtime: header.mtime, uid: 0, gid: 0 };
  if (name !== ".") await makeParent(folder, name);
  switch (header.type) {
    case "directory":
      entry.resume();
      if (name === ".") return;
      await mkdir(path, { recursive: true, mode: mode | 0o700 });
      repacked.entry({ ...owned, mode: mode | 0o700, type: "directory" });
      return;
    case "file":
    case "contiguous-file":
      return writeBoth(entry, path, mode, repacked.entry({ ...owned, size: header.size ?? 0 }));
    case "symlink": {
      entry.resume();
      const target = header.linkname ?? "";
      const within = relative(folder, resolve(dirname(path), target));
      if (target.startsWith("/") || within.startsWith(".."))
        throw new Error(`the link ${name} leads out of the bundle`);
      await symlink(target, path);
      repacked.entry({ ...owned, type: "symlink", linkname: target });
      return;
    }
    default:
      throw new Error(`${name} is a ${header.type}; only files, folders and links within the bundle are taken`);
  }
}

/** No entry is written through a link: what a link points at was only judged for the place where the link is. */
async function makeParent(folder: string, name: string): Promise<void> {
  const parent = dirname(join(folder, name));
  await mkdir(parent, { recursive: true, mode: 0o755 });
  if ((await realpath(parent)) !== join(await realpath(folder), dirname(name))) {
    throw new Error(`${name} lies behind a link`);
  }
}

async function writeBoth(entry: Entry, path: string, mode: number, copy: Sink): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    for await (const chunk of entry) {
      await file.write(chunk as Buffer);
      if (!copy.write(chunk)) await new Promise<void>((drained) => copy.once("drain", () => drained()));
    }
    await file.chmod(mode);
  } finally {
    await file.close();
  }
  copy.end(null);
}

/** Relative, inside, without a way up. */
function safeName(name: string): string {
  const plain = normalize(name).replace(/\/+$/, "");
  if (plain.startsWith("/") || plain === ".." || plain.startsWith("../") || plain.includes("\0")) {
    throw new Error(`the path ${JSON.stringify(name)} leads out of the bundle`);
  }
  return plain === "" ? "." : plain;
}

function tee(hash: { update(chunk: Buffer): unknown }): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

function nameOf(hash: string): string {
  return hash.replace("sha256:", "");
}
