// The last line of defence of an RPC method: a fault of ours becomes data, with nothing half-done.
import type { Failure } from "../../contracts/failures.ts";
import { messageOf } from "./call.ts";

/** What `decide` returned, or an `internal` failure; the step that threw has changed nothing. */
export function answer<Reply>(method: string, decide: () => Reply): Reply | { ok: false; failure: Failure } {
  try {
    return decide();
  } catch (error) {
    console.error(JSON.stringify({ at: method, error: messageOf(error) }));
    return { ok: false, failure: { code: "internal", message: `${method} failed; nothing was changed` } };
  }
}
