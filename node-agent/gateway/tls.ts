// TLS at the gateway's port: the node's certificate, taken up whenever its file changes. Open connections keep what they began with.
import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket, type SecureContext } from "node:tls";
import { TLS_FILE } from "../endpoint-file.ts";

export class TlsDesk {
  readonly #path: string;
  #stamp = "";
  #context: SecureContext | null = null;
  /** SHA-256 of the certificate that new connections are shown; null: plain HTTP is all there is. */
  fingerprint: string | null = null;

  constructor(dir: string) {
    this.#path = join(dir, TLS_FILE);
  }

  get serves(): boolean {
    return this.#context !== null;
  }

  /** Whether the file is another one than was last looked at. */
  async changed(): Promise<boolean> {
    return (await this.#look()) !== this.#stamp;
  }

  /** Throws for a file that is no pair of certificate and key: what was served is served on. Without a file: as it was. */
  async load(): Promise<void> {
    const stamp = await this.#look();
    if (stamp === this.#stamp || stamp === "") return;
    const pem = await readFile(this.#path, "utf8");
    // Looked at once, also where it is faulty: the next look comes with the next change.
    this.#stamp = stamp;
    const context = createSecureContext({ cert: pem, key: pem, minVersion: "TLSv1.2" });
    this.fingerprint = new X509Certificate(pem).fingerprint256;
    this.#context = context;
  }

  /** The server's side of TLS on a connection. The caller reads from it at once; nothing comes before the handshake is over. */
  open(raw: Socket): TLSSocket {
    return new TLSSocket(raw, {
      isServer: true,
      secureContext: this.#context as SecureContext,
      ALPNProtocols: ["http/1.1"],
    });
  }

  /** Replaced by a rename, so that its inode alone would do; "" where there is none. */
  async #look(): Promise<string> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#path);
      return `${ino}/${mtimeMs}/${size}`;
    } catch {
      return "";
    }
  }
}
