// Single flight across the requests of an isolate, in a way that survives any one of them being cancelled.
import { within } from "../within.ts";

/**
 * Work under a key is done once however many ask at the same time. keepAlive (waitUntil) lets it end when its first asker
 * leaves; every asker waits with a time-out of its own, because a promise of another request may never settle.
 */
export class Flights<Value> {
  readonly #flights = new Map<string, Flight<Value>>();

  /** The result, or null when the work failed or took longer than waitMs (it goes on beside). */
  async run(
    key: string,
    work: () => Promise<Value>,
    waitMs: number,
    keepAlive: (promise: Promise<unknown>) => void,
  ): Promise<Value | null> {
    return within(waitMs, this.start(key, work, keepAlive));
  }

  /** Never rejects: null when the work failed. */
  start(
    key: string,
    work: () => Promise<Value>,
    keepAlive: (promise: Promise<unknown>) => void,
  ): Promise<Value | null> {
    const under = this.#underWay(key);
    if (under !== null) return under;
    const promise = within(
      FLIGHT_MS_MAX,
      work().catch(() => null),
    ).finally(() => {
      if (this.#flights.get(key)?.promise === promise) this.#flights.delete(key);
    });
    this.#flights.set(key, { promise, startedAtMs: Date.now() });
    keepAlive(promise);
    return promise;
  }

  /** Waits for what is under way, if anything is. */
  async join(key: string, waitMs: number): Promise<Value | null> {
    const under = this.#underWay(key);
    return under === null ? null : within(waitMs, under);
  }

  /** What its asker's end has left unsettled is not under way any more. */
  #underWay(key: string): Promise<Value | null> | null {
    const flight = this.#flights.get(key);
    return flight !== undefined && Date.now() - flight.startedAtMs < FLIGHT_MS_MAX ? flight.promise : null;
  }
}

interface Flight<Value> {
  readonly promise: Promise<Value | null>;
  readonly startedAtMs: number;
}

/** Reads that take longer than this are given up; the remembered value serves on. */
const FLIGHT_MS_MAX = 5_000;
