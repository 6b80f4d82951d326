// Wrong passwords: five of an address, and strangers at an account who have to wait while its owner does not.
import { describe, expect, it } from "vitest";
import {
  beginAtAccount,
  beginAtAddress,
  endSignIn,
  NO_SIGN_INS,
  SIGN_IN_LIMITS,
  type SignIns,
  type Verdict,
} from "../../../core/sign-in/throttle.ts";

const limits = SIGN_IN_LIMITS;
const NOW = 1_000_000_000;

/** One side of the throttle, as its object keeps it. */
function throttle(begin: typeof beginAtAddress) {
  let state: SignIns = NO_SIGN_INS;
  let ids = 0;
  return {
    begin(from: string | null, nowMs = NOW): Verdict & { id: string } {
      const id = String((ids += 1));
      const begun = begin(state, { id, from, nowMs }, limits);
      ({ state } = begun);
      return { ...begun.verdict, id };
    },
    end(id: string, known: string | null, nowMs = NOW) {
      state = endSignIn(state, { id, known, nowMs }, limits);
    },
    get size() {
      return state.attempts.length;
    },
  };
}
const waits = (verdict: Verdict) => (verdict.kind === "let" ? verdict.waitMs : verdict.kind);

describe("an address", () => {
  it("may be wrong five times within 15 minutes, from each failure on", () => {
    const address = throttle(beginAtAddress);
    for (let n = 0; n < 5; n += 1) expect(address.begin("a", NOW + n * 60_000).kind).toBe("let");
    const refused = address.begin("a", NOW + 5 * 60_000);
    expect(refused).toMatchObject({ kind: "refused", retryAfterMs: 10 * 60_000 });
    expect(address.begin("a", NOW + 15 * 60_000 - 1).kind).toBe("refused");
    expect(address.begin("a", NOW + 15 * 60_000).kind).toBe("let");
    expect(address.begin("a", NOW + 15 * 60_000).kind).toBe("refused");
  });

  it("has its attempts counted from their beginning, so that many at once are five", () => {
    const address = throttle(beginAtAddress);
    const begun = Array.from({ length: 50 }, () => address.begin("a"));
    expect(begun.filter(({ kind }) => kind === "let")).toHaveLength(5);
  });

  it("may be right as often as it likes", () => {
    const address = throttle(beginAtAddress);
    for (let n = 0; n < 100; n += 1) {
      const { kind, id } = address.begin("a");
      expect(kind).toBe("let");
      address.end(id, null);
    }
  });
});

describe("an account", () => {
  it("makes strangers wait after five wrong ones of theirs together, one after the other, and then refuses", () => {
    const account = throttle(beginAtAccount);
    for (let n = 0; n < 5; n += 1) expect(waits(account.begin(`stranger-${n}`))).toBe(0);
    const later = Array.from({ length: 7 }, (_, n) => waits(account.begin(`other-${n}`)));
    expect(later).toEqual([2_000, 4_000, 6_000, 8_000, 10_000, "refused", "refused"]);
    expect(waits(account.begin("other-8", NOW + 6_000))).toBe(6_000);
  });

  it("lets strangers guess at most every ten seconds once it is plain what they do", () => {
    const account = throttle(beginAtAccount);
    let nowMs = NOW;
    let let_ = 0;
    for (; nowMs < NOW + 15 * 60_000; nowMs += 500) if (account.begin(`s-${nowMs}`, nowMs).kind === "let") let_ += 1;
    expect(let_).toBeLessThanOrEqual(20 + (15 * 60) / 10 + 2);
    expect(let_).toBeGreaterThan(80);
  });

  it("lets its owner in at once from where they were before, whatever strangers do", () => {
    const account = throttle(beginAtAccount);
    const { id } = account.begin("home");
    account.end(id, "home");
    for (let n = 0; n < 1_000; n += 1) account.begin(`stranger-${n}`);
    expect(waits(account.begin("home"))).toBe(0);
  });

  it("refuses also a place of its owner's after five wrong ones from there", () => {
    const account = throttle(beginAtAccount);
    account.end(account.begin("home").id, "home");
    for (let n = 0; n < 5; n += 1) expect(waits(account.begin("home"))).toBe(0);
    expect(account.begin("home").kind).toBe("refused");
    expect(waits(account.begin("elsewhere"))).toBe(0);
  });

  it("remembers the newest places of its owner, for a quarter, and never more attempts than there can be", () => {
    const account = throttle(beginAtAccount);
    for (let n = 0; n <= limits.knownMax; n += 1) account.end(account.begin(`place-${n}`).id, `place-${n}`);
    for (let n = 0; n < 5; n += 1) account.begin(null);
    expect(waits(account.begin("place-0"))).toBeGreaterThan(0);
    expect(waits(account.begin(`place-${limits.knownMax}`))).toBe(0);
    for (let n = 0; n < 5_000; n += 1) account.begin(null, NOW + n);
    expect(account.size).toBeLessThan(700);
    const later = NOW + limits.knownMs + 1;
    for (let n = 0; n < 5; n += 1) account.begin(null, later);
    expect(waits(account.begin(`place-${limits.knownMax}`, later))).toBeGreaterThan(0);
  });
});
