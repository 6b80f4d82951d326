// What supervision must not forget over a restart of the agent: how often each instance was started and how its runs ended.
import { join } from "node:path";
import { z } from "zod";
import { InstanceFailure } from "../../../contracts/failures.ts";
import { InstanceId } from "../../../contracts/ids.ts";
import { readJsonFile, writeDurably } from "./durable-file.ts";

export const FACTS_FILE = "supervision.json";

/**
 * ended: the last end and when the next start is due, null while a run goes on. life: the run whose end was counted, so that
 * it is counted once. readySinceMs: of the present run (control plane's clock), null before it was ready.
 */
const Facts = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  restarts: z.int().nonnegative(),
  crashes: z.int().nonnegative(),
  everReady: z.boolean(),
  readySinceMs: z.number().nullable(),
  ended: z
    .object({ life: z.string().nullable(), failure: InstanceFailure, endedAtMs: z.number(), retryAtMs: z.number() })
    .nullable(),
  /** A strict singleton that was stopped because no lease covered it any more. */
  fenced: z.boolean().default(false),
  /** Of a one-off instance. begun: it may have run, whatever is left of it. done: its exit code, where that was 0. */
  begun: z.boolean().default(false),
  done: z.object({ exitCode: z.int() }).nullable().default(null),
});
export type Facts = z.infer<typeof Facts>;

export class FactsStore {
  readonly #path: string;
  readonly #facts: Map<string, Facts>;
  /** One write at a time; those who come meanwhile share the next one. */
  #underWay: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  private constructor(path: string, facts: Facts[]) {
    this.#path = path;
    this.#facts = new Map(facts.map((one) => [keyOf(one), one]));
  }

  /** A file that cannot be read costs backoffs, not fencing: it is started anew. */
  static async open(dir: string): Promise<FactsStore> {
    const path = join(dir, FACTS_FILE);
    const stored = await readJsonFile(path, z.array(Facts)).catch(() => null);
    return new FactsStore(path, stored ?? []);
  }

  of(at: { instance: InstanceId; generation: number }): Facts {
    const { instance, generation } = at;
    const none = { restarts: 0, crashes: 0, everReady: false, readySinceMs: null, ended: null, fenced: false };
    return this.#facts.get(keyOf(at)) ?? { instance, generation, ...none, begun: false, done: null };
  }

  /** Resolves once it is on disk. */
  put(facts: Facts): Promise<void> {
    this.#facts.set(keyOf(facts), facts);
    return this.#write();
  }

  forget(at: { instance: InstanceId; generation: number }): Promise<void> {
    return this.#facts.delete(keyOf(at)) ? this.#write() : Promise.resolve();
  }

  /** Drops what is about instances that are neither here nor wanted. */
  keepOnly(instances: ReadonlySet<string>): void {
    for (const [key, { instance }] of this.#facts) if (!instances.has(instance)) this.#facts.delete(key);
  }

  #write(): Promise<void> {
    if (this.#underWay === null) {
      this.#underWay = writeDurably(this.#path, JSON.stringify([...this.#facts.values()])).finally(
        () => (this.#underWay = null),
      );
      return this.#underWay;
    }
    this.#next ??= this.#underWay
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        return this.#write();
      });
    return this.#next;
  }
}

function keyOf({ instance, generation }: { instance: string; generation: number }): string {
  return `${instance}/${generation}`;
}
