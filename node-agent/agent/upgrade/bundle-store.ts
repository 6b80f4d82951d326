// The agents' bundles on this node's disk: fetched into a file of their own, whole and synced before anything points to them.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { AgentManifest } from "../../../contracts/agent-release.ts";
import { ManifestRefused } from "./manifest.ts";

const FOLDER = "agents";

/** What came is not what the manifest names: more of the network will not mend that. */
export class WrongBytes extends Error {}

export class BundleStore {
  readonly #folder: string;

  constructor(dir: string) {
    this.#folder = join(dir, FOLDER);
  }

  pathOf({ version, sha256 }: Pick<AgentManifest, "version" | "sha256">): string {
    return join(this.#folder, `${version}-${sha256.slice(0, 16)}.mjs`);
  }

  /** Throws ManifestRefused when the disk has not room enough: an agent that fills it would take everything else down. */
  async admit({ bytes }: AgentManifest, slackBytes: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.#folder);
    const missing = bytes + slackBytes - bavail * bsize;
    if (missing <= 0) return;
    throw new ManifestRefused(`too little disk: ${megabytes(missing)} MB more must be free under ${this.#folder}`);
  }

  /** Throws with what is wrong with the bytes; nothing is kept then. */
  async store(manifest: AgentManifest, source: Readable): Promise<string> {
    const path = this.pathOf(manifest);
    const beside = `${path}.tmp`;
    const file = await open(beside, "w", 0o600);
    try {
      const seen = createHash("sha256");
      let bytes = 0;
      for await (const chunk of source as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > manifest.bytes)
          throw new WrongBytes(`it has more than the ${manifest.bytes} bytes of its manifest`);
        seen.update(chunk);
        await file.write(chunk);
      }
      if (bytes < manifest.bytes) throw new WrongBytes(`it ended after ${bytes} of ${manifest.bytes} bytes`);
      if (seen.digest("hex") !== manifest.sha256) throw new WrongBytes("its bytes are not those of its manifest");
      await file.sync();
    } catch (error) {
      source.destroy();
      await file.close();
      await rm(beside, { force: true });
      throw error;
    }
    await file.close();
    await rename(beside, path);
    const folder = await open(this.#folder, "r");
    await folder.sync().finally(() => folder.close());
    return path;
  }

  /** Whether it lies here whole, from an attempt before. */
  async has(manifest: AgentManifest): Promise<boolean> {
    const seen = createHash("sha256");
    try {
      for await (const chunk of createReadStream(this.pathOf(manifest))) seen.update(chunk as Buffer);
    } catch {
      return false;
    }
    return seen.digest("hex") === manifest.sha256;
  }

  async keepOnly(paths: readonly string[]): Promise<void> {
    const found = await readdir(this.#folder).catch(() => []);
    for (const name of found) {
      const path = join(this.#folder, name);
      if (!paths.includes(path)) await rm(path, { force: true });
    }
  }
}

const megabytes = (bytes: number): number => Math.ceil(bytes / 1_000_000);
