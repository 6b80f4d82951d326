// The image under bundles: this agent's own Node binary and the libraries it is linked with, imported once per Engine.
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import type Docker from "dockerode";
import { pack, type Pack } from "tar-stream";
import { EngineAway, StartFailed } from "../runtime.ts";
import { isEngineAway, messageOf, statusOf } from "./failures.ts";

export const BUNDLE_IMAGE = `berth/node-runtime:${process.versions.node}`;

/** Loaded by the C library at run time for name look-ups, so that ldd does not list them. */
const LOADED_LATER = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];
const FILES: Record<string, string> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};
const FOLDERS: Record<string, number> = { app: 0o755, tmp: 0o1777, root: 0o700, "usr/local/bin": 0o755, etc: 0o755 };

export class BundleImage {
  readonly #docker: Docker;
  #made: Promise<string> | null = null;

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** The image's name, once it is there. Throws StartFailed. */
  ensure(): Promise<string> {
    this.#made ??= this.#make().catch((error: unknown) => {
      this.#made = null;
      if (isEngineAway(error)) throw new EngineAway(messageOf(error));
      throw new StartFailed("start_failed", `the image for bundles could not be made: ${messageOf(error)}`);
    });
    return this.#made;
  }

  /** After an Engine said that the image is gone. */
  forget(): void {
    this.#made = null;
  }

  async #make(): Promise<string> {
    try {
      await this.#docker.getImage(BUNDLE_IMAGE).inspect();
      return BUNDLE_IMAGE;
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    const tar = pack();
    const filled = fill(tar).catch((error: unknown) => tar.destroy(error as Error));
    const [repo, tag] = BUNDLE_IMAGE.split(":");
    const changes = ["ENV PATH=/usr/local/bin", "ENV NODE_ENV=production", "WORKDIR /app", 'CMD ["node", "."]'];
    const answer = await this.#docker.importImage(tar as unknown as NodeJS.ReadableStream, { repo, tag, changes });
    await new Promise<void>((resolve, reject) => {
      this.#docker.modem.followProgress(answer, (error: Error | null) => (error === null ? resolve() : reject(error)));
    });
    await filled;
    return BUNDLE_IMAGE;
  }
}

async function fill(tar: Pack): Promise<void> {
  for (const [name, mode] of Object.entries(FOLDERS)) tar.entry({ name, type: "directory", mode });
  for (const [name, content] of Object.entries(FILES)) tar.entry({ name, mode: 0o644 }, content);
  await addFile(tar, process.execPath, "usr/local/bin/node");
  for (const library of await libraries(process.execPath)) await addFile(tar, library, library.slice(1));
  tar.finalize();
}

async function addFile(tar: Pack, path: string, name: string): Promise<void> {
  const real = await realpath(path);
  const { size } = await stat(real);
  await pipeline(createReadStream(real), tar.entry({ name, size, mode: 0o755 }));
}

/** Absolute paths of what the dynamic linker loads: lines `name => /path (0x…)` and `/path (0x…)`. */
async function libraries(binary: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)("ldd", [binary]);
  const linked = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/g)].map((match) => match[1] as string);
  const libc = linked.find((path) => /\/libc\.so/.test(path));
  if (libc === undefined) return linked;
  const later: string[] = [];
  for (const name of LOADED_LATER) {
    const path = `${dirname(libc)}/${name}`;
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      later.push(path);
  }
  return [...new Set([...linked, ...later])];
}
