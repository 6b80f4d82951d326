// The RateLimit object, named by whom it limits: a customer's requests in this UTC minute, or attempts to sign in. Exact, and kept over
// an eviction.
import type { Result } from "../../contracts/failures.ts";
import {
  beginAtAccount,
  beginAtAddress,
  endSignIn,
  isKnown,
  NO_SIGN_INS,
  SIGN_IN_LIMITS,
  type SignIns,
} from "../../core/sign-in/throttle.ts";
import type { ObjectEnv } from "../env.ts";
import type { RateLimitRpc, RateTaken, SignInVerdict } from "../rpc.ts";
import { GuardedDurable } from "../shared/guarded-durable.ts";

const MINUTE_MS = 60_000;

interface RateLimitSnapshot {
  /** Absent: nobody has tried, or it is a customer's. */
  readonly signIns?: SignIns;
}

/** A row of its own, because it is written with every request. */
const MINUTE_KEY = "minute";
interface Minute {
  readonly minute: number;
  readonly used: number;
}

export class RateLimit extends GuardedDurable<RateLimitSnapshot> implements RateLimitRpc {
  readonly #storage: DurableObjectStorage;
  #minute: Minute = { minute: 0, used: 0 };

  constructor(state: DurableObjectState, _env: ObjectEnv) {
    super(state, {}, ["take", "beginSignIn", "endSignIn"]);
    this.#storage = state.storage;
    void state.blockConcurrencyWhile(async () => {
      this.#minute = (await this.#storage.get<Minute>(MINUTE_KEY)) ?? this.#minute;
    });
  }

  /**
   * cost units of limitPerMinute, or as many as are left. Written at once, and answered without waiting for the disk: every request of the customer
   * waits here, and what a power cut may lose is a count of this minute. What is refused costs nothing, so waiting for resetAtMs always helps.
   */
  async take(input: { limitPerMinute: number; cost: number }): Promise<Result<RateTaken>> {
    const { limitPerMinute, cost } = input;
    if (!Number.isInteger(limitPerMinute) || !Number.isInteger(cost) || limitPerMinute < 0 || cost < 0) {
      return {
        ok: false,
        failure: { code: "invalid_request", message: "limit and cost must be whole numbers from 0" },
      };
    }
    // A clock that steps back stays in the newer minute: nobody gets a second allowance for it.
    const minute = Math.max(Math.floor(Date.now() / MINUTE_MS), this.#minute.minute);
    const used = minute === this.#minute.minute ? this.#minute.used : 0;
    const granted = Math.max(0, Math.min(cost, limitPerMinute - used));
    if (granted > 0) {
      this.#minute = { minute, used: used + granted };
      // A write that fails resets the object: there is no answer of its own to wait for.
      void this.#storage.put(MINUTE_KEY, this.#minute, { allowUnconfirmed: true });
    }
    const remaining = Math.max(0, limitPerMinute - used - granted);
    return { ok: true, value: { allowed: granted > 0, granted, remaining, resetAtMs: (minute + 1) * MINUTE_MS } };
  }

  /** failuresMax: instead of the standard one. */
  async beginSignIn(input: {
    of: "address" | "account";
    id: string;
    from: string | null;
    failuresMax?: number;
  }): Promise<SignInVerdict> {
    const { of, id, from, failuresMax = SIGN_IN_LIMITS.failuresMax } = input;
    const begin = of === "address" ? beginAtAddress : beginAtAccount;
    const before = this.snapshot.signIns ?? NO_SIGN_INS;
    const { state, verdict } = begin(before, { id, from, nowMs: Date.now() }, { ...SIGN_IN_LIMITS, failuresMax });
    await this.store({ ...this.snapshot, signIns: state });
    return { ...verdict, known: isKnown(state, from) };
  }

  async endSignIn({ id, known }: { id: string; known: string | null }): Promise<void> {
    const before = this.snapshot.signIns ?? NO_SIGN_INS;
    const signIns = endSignIn(before, { id, known, nowMs: Date.now() }, SIGN_IN_LIMITS);
    await this.store({ ...this.snapshot, signIns });
  }
}
