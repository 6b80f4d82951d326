// Tells App objects which of their instances could not be reached: beside the requests, and no more often than is of use.
import { instanceKey } from "../../contracts/desired.ts";
import type { AppId } from "../../contracts/ids.ts";
import type { Endpoint } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { EdgeEnv } from "./env.ts";

const limits = ROUTING_LIMITS;

export class Reports {
  /** By instance: until when its last report is enough. */
  readonly #heldUntilMs = new Map<string, number>();
  #secondEndsMs = 0;
  #inThisSecond = 0;

  /** Whether a report may go out now; if so it counts as sent. untilMs: the ejection's end, before which nothing new is known. */
  admit(endpoint: Endpoint, untilMs: number, nowMs: number): boolean {
    const key = instanceKey(endpoint);
    if (nowMs < (this.#heldUntilMs.get(key) ?? 0)) return false;
    if (nowMs >= this.#secondEndsMs) {
      this.#secondEndsMs = nowMs + 1_000;
      this.#inThisSecond = 0;
    }
    if (this.#inThisSecond >= limits.reportsPerSecondMax) return false;
    this.#inThisSecond++;
    this.#heldUntilMs.delete(key);
    if (this.#heldUntilMs.size >= limits.ejectionsMax)
      this.#heldUntilMs.delete(this.#heldUntilMs.keys().next().value as string);
    this.#heldUntilMs.set(key, Math.max(untilMs, nowMs + limits.reportEveryMs));
    return true;
  }
}

/** Its answer says nothing, and its failure is the next report's affair. */
export async function report(
  env: EdgeEnv,
  app: AppId,
  { instance, generation }: Endpoint,
  kind: "connect" | "gateway_5xx",
): Promise<void> {
  try {
    await env.APP.getByName(app).reportUnreachable({ instance, generation, kind, atMs: Date.now() });
  } catch (error) {
    console.warn(JSON.stringify({ at: "report", app, instance, error: String(error) }));
  }
}
