// What a node must not forget about its name: with no control plane in reach it goes on under it. And its account at the ACME server.
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";

const FILE = "name.json";

const Stored = z.object({
  /** Null: the control plane gives no names. Absent: it was never asked. */
  name: z.string().nullable().optional(),
  gatewayUrl: z.string().nullable().default(null),
  directoryUrl: z.string().nullable().default(null),
  /** The control plane knows that the gateway serves under the name. */
  served: z.boolean().default(false),
  account: z.object({ directoryUrl: z.string(), key: z.string(), url: z.string().nullable() }).nullable().default(null),
  /** Of orders, in a row; and when the next may be tried, by the control plane's clock. */
  failures: z.int().nonnegative().default(0),
  retryAtMs: z.number().default(0),
  failure: z.string().nullable().default(null),
});
export type NameState = z.infer<typeof Stored>;

export class NameStore {
  readonly #path: string;
  #state: NameState;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, state: NameState) {
    this.#path = path;
    this.#state = state;
  }

  /** A file that cannot be read costs one question and one account: it is begun anew. */
  static async open(dir: string): Promise<NameStore> {
    const path = join(dir, FILE);
    const stored = await readJsonFile(path, Stored).catch(() => null);
    return new NameStore(path, stored ?? Stored.parse({}));
  }

  get state(): NameState {
    return this.#state;
  }

  /** Resolves once it is on disk. */
  put(change: Partial<NameState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const write = this.#writing
      .catch(() => undefined)
      .then(() => writeDurably(this.#path, JSON.stringify(this.#state)));
    this.#writing = write;
    return write;
  }
}
