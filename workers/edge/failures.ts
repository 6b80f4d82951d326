// Tells operators (Workers Logs) of visitors who got no app's answer; what a crash caught in flight is counted apart.
import type { AppId } from "../../contracts/ids.ts";
import { isInFlight, type PageCode } from "./pages.ts";

/** More say nothing more, and each costs; how many were left out is said with the next one. */
const LINES_PER_SECOND_MAX = 10;

export class Failures {
  #secondEndsMs = 0;
  #lines = 0;
  #leftOut = { inFlight: 0, unserved: 0 };

  /** code: what the visitor was told. */
  tell(app: AppId, code: PageCode, requestId: string, nowMs: number): void {
    const kind = isInFlight(code) ? "inFlight" : "unserved";
    if (nowMs >= this.#secondEndsMs) {
      this.#secondEndsMs = nowMs + 1_000;
      this.#lines = 0;
    }
    if (++this.#lines > LINES_PER_SECOND_MAX) {
      this.#leftOut[kind]++;
      return;
    }
    console.warn(JSON.stringify({ at: "edge", failed: kind, code, app, requestId, leftOut: this.#leftOut }));
    this.#leftOut = { inFlight: 0, unserved: 0 };
  }
}
