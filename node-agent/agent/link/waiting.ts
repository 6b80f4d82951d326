// What was sent on the socket and waits for its answer: told of as unanswered after a heartbeat's time-out, given up later.
import type { HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { FromAgent, ToAgent } from "../../../contracts/agent-socket.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { deferred } from "../deferred.ts";
import { monotonicMs } from "./control-clock.ts";
import { ExchangeFailed } from "./http.ts";

export interface Asked {
  readonly sentAtMs: number;
  readonly resolve: (answer: HeartbeatResponse) => void;
  readonly reject: (error: Error) => void;
}

export class Waiting {
  readonly #limits: AgentLimits;
  readonly #unanswered: (sentAtMs: number) => void;
  readonly #asked = new Map<string, Asked & { timer: NodeJS.Timeout }>();

  constructor(limits: AgentLimits, unanswered: (sentAtMs: number) => void) {
    this.#limits = limits;
    this.#unanswered = unanswered;
  }

  add({ kind, id }: FromAgent): Promise<HeartbeatResponse> {
    const { heartbeatTimeoutMs, heartbeatGiveUpMs } = this.#limits;
    const { promise, resolve, reject } = deferred<HeartbeatResponse>();
    const sentAtMs = monotonicMs();
    const key = `${kind}/${id}`;
    const late = () => {
      // It stays here: however late, its answer says that the socket is well.
      asked.timer = setTimeout(() => {
        reject(new ExchangeFailed(`no answer within ${heartbeatGiveUpMs} ms`, false));
      }, heartbeatGiveUpMs - heartbeatTimeoutMs);
      this.#unanswered(sentAtMs);
    };
    const asked = { sentAtMs, resolve, reject, timer: setTimeout(late, heartbeatTimeoutMs) };
    this.#asked.set(key, asked);
    return promise;
  }

  /** What this answers; null where nothing waits for it any more. */
  take(answer: ToAgent): Asked | null {
    const key = `${answer.kind === "refused" ? answer.of : answer.kind}/${answer.id}`;
    const asked = this.#asked.get(key);
    if (asked === undefined) return null;
    this.#asked.delete(key);
    clearTimeout(asked.timer);
    return asked;
  }

  fail(why: string): void {
    const all = [...this.#asked.values()];
    this.#asked.clear();
    for (const { timer, reject } of all) {
      clearTimeout(timer);
      reject(new ExchangeFailed(why, false));
    }
  }
}
