// The last desired document and the fences, on disk before anything acts on them; revisions and generations only rise.
import { join } from "node:path";
import { z } from "zod";
import { DesiredDocument } from "../../../contracts/desired.ts";
import { InstanceId } from "../../../contracts/ids.ts";
import type { Fence } from "../../../core/converge/converge.ts";
import { readJsonFile, writeDurably } from "./durable-file.ts";

export const DESIRED_FILE = "desired.json";
export const GENERATIONS_FILE = "generations.json";

/** Oldest first, so that the limit drops what was placed longest ago. Rows: [instance, generation, stopped]. */
const StoredGenerations = z.array(z.tuple([InstanceId, z.int().positive(), z.boolean()]));

export class DesiredStore {
  readonly #dir: string;
  readonly #fencesMax: number;
  #desired: DesiredDocument | null;
  #fences: Map<InstanceId, Fence>;
  /** Writes happen one after the other, each with what is so when its turn comes. */
  #queue: Promise<void> = Promise.resolve();

  private constructor(dir: string, fencesMax: number, desired: DesiredDocument | null, fences: Map<InstanceId, Fence>) {
    this.#dir = dir;
    this.#fencesMax = fencesMax;
    this.#desired = desired;
    this.#fences = fences;
  }

  static async open(dir: string, fencesMax: number): Promise<DesiredStore> {
    const desired = await readJsonFile(join(dir, DESIRED_FILE), DesiredDocument);
    const rows = (await readJsonFile(join(dir, GENERATIONS_FILE), StoredGenerations)) ?? [];
    const fences = new Map(rows.map(([instance, generation, stopped]) => [instance, { generation, stopped }]));
    return new DesiredStore(dir, fencesMax, desired, fences);
  }

  get desired(): DesiredDocument | null {
    return this.#desired;
  }

  get fences(): ReadonlyMap<InstanceId, Fence> {
    return this.#fences;
  }

  /**
   * Resolves to whether the document is the new one to act on; false for a revision that is not higher than ours. The
   * fences are stored first: after a crash between the two files the older document is all the more fenced.
   */
  accept(document: DesiredDocument): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#desired !== null && document.revision <= this.#desired.revision) return false;
      const fences = new Map(this.#fences);
      let risen = false;
      for (const { instance, generation } of document.instances) {
        const known = fences.get(instance);
        if (known !== undefined && known.generation >= generation) continue;
        fences.delete(instance);
        fences.set(instance, { generation, stopped: false });
        risen = true;
      }
      if (risen) await this.#storeFences(fences, document);
      await writeDurably(join(this.#dir, DESIRED_FILE), JSON.stringify(document));
      this.#desired = document;
      return true;
    });
  }

  /** Stop is final: stored before the stop is reported. */
  markStopped(instance: InstanceId, generation: number): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#fences.get(instance);
      if (known !== undefined && (known.generation > generation || known.stopped)) return;
      const fences = new Map(this.#fences);
      fences.set(instance, { generation, stopped: true });
      await this.#storeFences(fences, this.#desired);
    });
  }

  async #storeFences(fences: Map<InstanceId, Fence>, document: DesiredDocument | null): Promise<void> {
    const named = new Set(document?.instances.map(({ instance }) => instance));
    for (const instance of fences.keys()) {
      if (fences.size <= this.#fencesMax) break;
      if (!named.has(instance)) fences.delete(instance);
    }
    const rows = [...fences].map(([instance, { generation, stopped }]) => [instance, generation, stopped]);
    await writeDurably(join(this.#dir, GENERATIONS_FILE), JSON.stringify(rows));
    this.#fences = fences;
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#queue.then(work);
    this.#queue = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }
}
