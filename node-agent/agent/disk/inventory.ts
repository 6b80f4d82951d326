// What this node has already, newest use first: placement prefers nodes that need not pull.
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { pause } from "../link/pause.ts";
import type { Bundles } from "../runtime/bundles.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** An image that came or went is told this late at most; nothing waits for it. */
const LOOK_MS = 10_000;

export class Inventory {
  readonly #runtime: Runtime;
  readonly #bundles: Bundles;
  readonly #limits: AgentLimits;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  /** Digests and bundle hashes. */
  images: readonly string[] = [];

  constructor(runtime: Runtime, bundles: Bundles, limits: AgentLimits) {
    this.#runtime = runtime;
    this.#bundles = bundles;
    this.#limits = limits;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look().catch(() => undefined);
      await pause(Math.min(LOOK_MS, 2 * this.#limits.diskLookMs), this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    const images = await this.#runtime.images();
    const bundles = (await this.#bundles.list()).map(({ hash, usedAtMs }) => ({ digests: [hash], usedAtMs }));
    const newestFirst = [...images, ...bundles].sort((a, b) => b.usedAtMs - a.usedAtMs);
    const digests = new Set(newestFirst.flatMap((one) => one.digests));
    this.images = [...digests].slice(0, this.#limits.imagesReportedMax);
  }
}
