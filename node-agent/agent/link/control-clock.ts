// The control plane's time, as an offset to this host's monotonic clock. No decision here rests on a wall clock.

/** CLOCK_MONOTONIC in milliseconds: the same for every process of this boot. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A sample this old no longer bounds the drift between two machines (100 ppm makes 60 ms of it). */
const SAMPLE_AGE_MAX_MS = 600_000;
const SAMPLES_MAX = 64;

/** Half of what a proof's time may be off by (30 s): nearer than that, samples are the better source. */
const HINT_MS_MIN = 15_000;

interface Sample {
  readonly offsetMs: number;
  readonly roundTripMs: number;
  readonly atMs: number;
}

/** Of the recent samples, the one with the shortest round trip bounds the error best: by half of that round trip. */
export class ControlClock {
  #samples: Sample[] = [];
  #offsetMs: number;
  #known = false;

  /** offsetMs: a first guess, from an earlier run in this boot or from the wall clock. */
  constructor(offsetMs = Date.now() - monotonicMs()) {
    this.#offsetMs = offsetMs;
  }

  /** Milliseconds since the epoch by the control plane. */
  nowMs(): number {
    return Math.round(monotonicMs() + this.#offsetMs);
  }

  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Whether the control plane was heard in this run. */
  get known(): boolean {
    return this.#known;
  }

  /** serverMs was read by the control plane at some moment between sentAt and receivedAt (both monotonic). */
  hear(serverMs: number, sentAtMs: number, receivedAtMs: number): void {
    const roundTripMs = receivedAtMs - sentAtMs;
    const sample = { offsetMs: serverMs - (sentAtMs + receivedAtMs) / 2, roundTripMs, atMs: receivedAtMs };
    this.#samples = [...this.#samples.filter(({ atMs }) => receivedAtMs - atMs < SAMPLE_AGE_MAX_MS), sample].slice(
      -SAMPLES_MAX,
    );
    const best = this.#samples.reduce((a, b) => (b.roundTripMs <= a.roundTripMs ? b : a));
    // A stepped control clock contradicts every older sample beyond their error bounds: start anew from what is said now.
    const contradicted = Math.abs(best.offsetMs - sample.offsetMs) > (best.roundTripMs + roundTripMs) / 2 + 1_000;
    if (contradicted) this.#samples = [sample];
    this.#offsetMs = contradicted ? sample.offsetMs : best.offsetMs;
    this.#known = true;
  }

  /**
   * The `date` header of a refusal, in whole seconds: better than nothing while nothing better was heard, and better than
   * what a step of either clock (or this host's sleep) made so wrong that every proof is refused.
   */
  hint(serverSecondsMs: number): void {
    const serverMs = serverSecondsMs + 500;
    if (this.#known && Math.abs(serverMs - this.nowMs()) < HINT_MS_MIN) return;
    this.#samples = [];
    this.#offsetMs = serverMs - monotonicMs();
  }
}
