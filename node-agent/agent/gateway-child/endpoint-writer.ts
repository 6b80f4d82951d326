// Writes the endpoint file and tells the gateway; writes that come together become one.
import { join } from "node:path";
import { ENDPOINT_FILE, EndpointFile } from "../../endpoint-file.ts";
import { readJsonFile, writeAtomically } from "../state/durable-file.ts";
import type { GatewaySocket } from "./gateway-socket.ts";

export class EndpointWriter {
  readonly #path: string;
  readonly #socket: GatewaySocket;
  readonly #content: () => EndpointFile;
  readonly #known = Promise.withResolvers<void>();
  #written = "";
  #underWay: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** content: what is so now, read when a write begins. */
  constructor(dir: string, socket: GatewaySocket, content: () => EndpointFile) {
    this.#path = join(dir, ENDPOINT_FILE);
    this.#socket = socket;
    this.#content = content;
  }

  /** All that runs here is known. Until then nothing is written: it would leave out who serves already. */
  begin(): void {
    this.#known.resolve();
  }

  /** Resolves once a file written after this call is in place and the gateway, if it answers, has read it. */
  write(): Promise<void> {
    if (this.#underWay === null) {
      this.#underWay = this.#once().finally(() => (this.#underWay = null));
      return this.#underWay;
    }
    this.#next ??= this.#underWay
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        return this.write();
      });
    return this.#next;
  }

  async #once(): Promise<void> {
    await this.#known.promise;
    const text = JSON.stringify(this.#content());
    if (text === this.#written) return;
    await writeAtomically(this.#path, text);
    this.#written = text;
    await this.#socket.reload();
  }
}

/** What an earlier agent left; null also when it cannot be read, because it is written anew in any case. */
export function readEndpoints(dir: string): Promise<EndpointFile | null> {
  return readJsonFile(join(dir, ENDPOINT_FILE), EndpointFile).catch(() => null);
}
