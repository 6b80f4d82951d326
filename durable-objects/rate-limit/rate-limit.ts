// The RateLimit object, named by a customer: how much of this UTC minute is used up. Exact, and stored before it answers.
import type { Result } from "../../contracts/failures.ts";
import type { ObjectEnv } from "../env.ts";
import type { RateLimitRpc } from "../rpc.ts";
import { GuardedDurable } from "../shared/guarded-durable.ts";

const MINUTE_MS = 60_000;

interface RateLimitSnapshot {
  readonly minute: number;
  readonly used: number;
}

interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly resetAtMs: number;
}

export class RateLimit extends GuardedDurable<RateLimitSnapshot> implements RateLimitRpc {
  constructor(state: DurableObjectState, _env: ObjectEnv) {
    super(state, { minute: 0, used: 0 }, ["take"]);
  }

  /** cost units of limitPerMinute, all or none. What is refused costs nothing, so waiting for resetAtMs always helps. */
  async take(input: { limitPerMinute: number; cost: number }): Promise<Result<Taken>> {
    const { limitPerMinute, cost } = input;
    if (!Number.isInteger(limitPerMinute) || !Number.isInteger(cost) || limitPerMinute < 0 || cost < 0) {
      return {
        ok: false,
        failure: { code: "invalid_request", message: "limit and cost must be whole numbers from 0" },
      };
    }
    // A clock that steps back stays in the newer minute: nobody gets a second allowance for it.
    const minute = Math.max(Math.floor(Date.now() / MINUTE_MS), this.snapshot.minute);
    const used = minute === this.snapshot.minute ? this.snapshot.used : 0;
    const allowed = used + cost <= limitPerMinute;
    if (allowed && cost > 0) await this.store({ minute, used: used + cost });
    const remaining = Math.max(0, limitPerMinute - used - (allowed ? cost : 0));
    return { ok: true, value: { allowed, remaining, resetAtMs: (minute + 1) * MINUTE_MS } };
  }
}
