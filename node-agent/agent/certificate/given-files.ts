// A certificate that the operator gives by files: judged before anything starts, and looked at again when they change.
import { readFile, stat } from "node:fs/promises";
import { covers, datesOf, readPair, type Pair } from "./pair.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export class GivenFiles {
  readonly #files: TlsFiles;
  #stamp = "";

  constructor(files: TlsFiles) {
    this.#files = files;
  }

  /**
   * Null: they are as they were. Throws with a message for people. Two files change one after the other, so what does not fit
   * together now is looked at again when one of them changes, and may fit then.
   */
  async changed(): Promise<Pair | null> {
    const stamp = await this.#look();
    if (stamp === this.#stamp) return null;
    this.#stamp = stamp;
    const { cert, key } = this.#files;
    const [certText, keyText] = await Promise.all([read("--tls-cert", cert), read("--tls-key", key)]);
    return readPair(certText, keyText, { cert, key });
  }

  async #look(): Promise<string> {
    const { cert, key } = this.#files;
    const stamps = await Promise.all([cert, key].map((path) => stat(path).catch(() => null)));
    return stamps.map((at) => (at === null ? "none" : `${at.ino}/${at.mtimeMs}/${at.size}`)).join(" ");
  }
}

async function read(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${flag}: ${path} cannot be read (${code})`, { cause: error });
  }
}

/** At a start: an operator stands before it, so that what would serve nobody is refused. host: null where names come from elsewhere. */
export async function refuseUnfit(files: TlsFiles, host: string | null, nowMs: number): Promise<void> {
  const pair = await new GivenFiles(files).changed();
  if (pair === null) return;
  const { notAfterMs } = pair.life;
  if (nowMs >= notAfterMs) {
    const now = new Date(nowMs).toISOString();
    throw new Error(`the certificate in ${files.cert} has expired: it is ${datesOf(pair)}, and now it is ${now}`);
  }
  if (host !== null && !covers(pair, host)) {
    throw new Error(`the certificate in ${files.cert} is not for ${host} (--gateway-url): it is for ${pair.names}`);
  }
}
