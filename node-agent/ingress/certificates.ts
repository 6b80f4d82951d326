// The certificates that the ingress shows, by hostname: every PEM file (chain and key in one) of its folders, taken up when it changes.
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Log } from "./tcp-ports.ts";

interface Loaded {
  readonly stamp: string;
  readonly names: readonly string[];
  readonly notAfterMs: number;
  readonly context: SecureContext;
}

export class IngressCertificates {
  readonly #folders: readonly string[];
  readonly #log: Log;
  readonly #files = new Map<string, Loaded>();
  /** Files that could not be used, as they were then. */
  readonly #faulty = new Map<string, string>();
  #byName = new Map<string, SecureContext>();

  constructor(folders: readonly string[], log: Log) {
    this.#folders = folders;
    this.#log = log;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()].sort();
  }

  /** A file that cannot be used leaves what it held before in force. */
  async look(): Promise<void> {
    const present = new Set<string>();
    for (const folder of this.#folders) {
      const names = await readdir(folder).catch(() => []);
      for (const name of names) if (name.endsWith(".pem")) present.add(join(folder, name));
    }
    let changed = false;
    for (const path of this.#files.keys()) {
      if (present.has(path)) continue;
      this.#files.delete(path);
      changed = true;
    }
    for (const path of present) changed = (await this.#load(path)) || changed;
    if (changed) this.#index();
  }

  /** The name's own; else that of the wildcard above it. */
  contextFor(hostname: string): SecureContext | null {
    const name = hostname.toLowerCase();
    return this.#byName.get(name) ?? this.#byName.get(`*${name.slice(name.indexOf("."))}`) ?? null;
  }

  async #load(path: string): Promise<boolean> {
    const stamp = await stat(path).then(
      ({ ino, mtimeMs, size }) => `${ino}/${mtimeMs}/${size}`,
      () => "",
    );
    if (stamp === "" || this.#files.get(path)?.stamp === stamp || this.#faulty.get(path) === stamp) return false;
    try {
      const pem = await readFile(path, "utf8");
      const context = createSecureContext({ cert: pem, key: pem, minVersion: "TLSv1.2" });
      const leaf = new X509Certificate(pem);
      const names = [...(leaf.subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map(([, name = ""]) =>
        name.toLowerCase(),
      );
      this.#files.set(path, { stamp, names, notAfterMs: leaf.validToDate.getTime(), context });
      this.#log.info({ path, names }, "a certificate is served");
      return true;
    } catch (error) {
      this.#faulty.set(path, stamp);
      this.#log.warn({ path, error: String(error) }, "no certificate and key can be read here");
      return false;
    }
  }

  /** Of two for one name the one that lasts longer. */
  #index(): void {
    const byName = new Map<string, SecureContext>();
    const files = [...this.#files.values()].sort((a, b) => a.notAfterMs - b.notAfterMs);
    for (const { names, context } of files) for (const name of names) byName.set(name, context);
    this.#byName = byName;
  }
}
