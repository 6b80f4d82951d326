// What becomes of a domain, given the records found: state, next look, and the words that say what to do.
import { describe, expect, it } from "vitest";
import type { Findings, Lookup } from "../../../contracts/domains.ts";
import { instructionsOf, statusOf } from "../../../core/domains/explain.ts";
import {
  judge,
  nextCheckAtMs,
  pointingOf,
  proofIn,
  suspendAtMs,
  type DomainState,
} from "../../../core/domains/judge.ts";
import { DEFAULT_DOMAIN_LIMITS, domainLimits } from "../../../core/domains/limits.ts";

const limits = DEFAULT_DOMAIN_LIMITS;
const target = "shop.berth.example";
const token = "0123456789abcdef0123";
const value = `berth-verify=${token}`;
const records = (...all: string[]): Lookup => ({ kind: "records", records: all, ttlSeconds: 600 });
const absent: Lookup = { kind: "absent", zone: "example.com", ttlSeconds: 1_800 };
const failed: Lookup = { kind: "failed", message: "the zone's name servers are silent (SERVFAIL)" };
const findings = (wish: Partial<Findings>): Findings => ({
  proof: absent,
  doubled: null,
  pointer: absent,
  addresses: absent,
  targetAddresses: null,
  atMs: 0,
  ...wish,
});
const subject = (wish: Partial<Findings> | null, hostname = "shop.example.com") => ({
  hostname,
  token,
  target,
  findings: wish === null ? null : findings(wish),
});

describe("the proof", () => {
  it.each([
    ["its value alone", records(value), "there"],
    ["its value beside others", records("v=spf1 -all", value), "there"],
    ["its value in quotes, as some forms keep them", records(`"${value}"`), "there"],
    ["its value with a blank behind it", records(`${value} `), "there"],
    ["another value", records("berth-verify=other"), "gone"],
    ["a longer one", records(`${value}0`), "gone"],
    ["nothing", absent, "gone"],
    ["no answer", failed, "unknown"],
  ] as const)("with %s is %s", (_, proof, verdict) => {
    expect(proofIn({ proof: proof as Lookup }, token)).toBe(verdict);
  });
});

describe("where it points", () => {
  it.each([
    ["the target", { pointer: records(target), addresses: null }, "here"],
    ["an alias of the target", { pointer: records("www.example.com", target), addresses: null }, "here"],
    ["another name", { pointer: records("old.example.net") }, "elsewhere"],
    ["another address", { addresses: records("192.0.2.7"), targetAddresses: records("198.51.100.1") }, "elsewhere"],
    [
      "the target's addresses",
      { addresses: records("192.0.2.7"), targetAddresses: records("192.0.2.7", "192.0.2.8") },
      "here",
    ],
    [
      "one of them and another",
      { addresses: records("192.0.2.7", "192.0.2.9"), targetAddresses: records("192.0.2.7") },
      "elsewhere",
    ],
    ["nothing", {}, "nowhere"],
    ["no answer", { pointer: failed, addresses: failed }, "unknown"],
  ] as const)("at %s is %s", (_, wish, verdict) => {
    expect(pointingOf(findings(wish as Partial<Findings>), target)).toBe(verdict);
  });
});

const pending: DomainState = { kind: "pending", sinceMs: 0 };
const proven: DomainState = { kind: "proven", provenAtMs: 1_000, seenAtMs: 1_000, missingSinceMs: null };

describe("a domain", () => {
  it("is proven by its proof alone, and waits without it", () => {
    expect(judge(pending, "there", 5, limits)).toEqual({
      kind: "proven",
      provenAtMs: 5,
      seenAtMs: 5,
      missingSinceMs: null,
    });
    expect(judge(pending, "gone", 5, limits)).toBe(pending);
    expect(judge(pending, "unknown", 5, limits)).toBe(pending);
  });

  it("whose proof vanished serves on for the set time, and is then suspended", () => {
    const failing = judge(proven, "gone", 2_000, limits);
    expect(failing).toMatchObject({ kind: "proven", missingSinceMs: 2_000 });
    const endMs = 2_000 + limits.domainSuspendMs;
    expect(suspendAtMs(failing, limits)).toBe(endMs);
    expect(judge(failing, "gone", endMs - 1, limits)).toMatchObject({ kind: "proven", missingSinceMs: 2_000 });
    expect(judge(failing, "gone", endMs, limits)).toEqual({ kind: "suspended", provenAtMs: 1_000, sinceMs: endMs });
  });

  it("whose proof is back in time is as it was", () => {
    const failing = judge(proven, "gone", 2_000, limits);
    expect(judge(failing, "there", 3_000, limits)).toEqual({ ...proven, seenAtMs: 3_000 });
  });

  it("is not suspended because nobody answers, unless for the longer set time", () => {
    expect(judge(proven, "unknown", 2_000, limits)).toEqual(proven);
    const failing = judge(proven, "gone", 2_000, limits);
    expect(judge(failing, "unknown", 2_000 + limits.domainSuspendMs, limits)).toEqual(failing);
    const lateMs = 1_000 + limits.domainUnreadableMs;
    expect(judge(proven, "unknown", lateMs, limits)).toMatchObject({ kind: "proven", missingSinceMs: lateMs });
    expect(judge(failing, "unknown", lateMs, limits)).toMatchObject({ kind: "suspended" });
  });

  it("that is suspended comes back with a fresh proof only", () => {
    const suspended: DomainState = { kind: "suspended", provenAtMs: 1, sinceMs: 2 };
    expect(judge(suspended, "gone", 9, limits)).toBe(suspended);
    expect(judge(suspended, "there", 9, limits)).toMatchObject({ kind: "proven", provenAtMs: 9, missingSinceMs: null });
  });

  it("is looked at often while somebody waits for it, seldom later, and at last only when asked", () => {
    expect(nextCheckAtMs(pending, null, 0, limits)).toBe(limits.domainCheckSoonMs);
    const laterMs = limits.domainSoonForMs;
    expect(nextCheckAtMs(pending, null, laterMs, limits)).toBe(laterMs + limits.domainCheckLaterMs);
    expect(nextCheckAtMs(pending, null, limits.domainGiveUpMs, limits)).toBeNull();
    expect(nextCheckAtMs(pending, 9_999_999, 0, limits)).toBe(9_999_999);
    expect(nextCheckAtMs(proven, null, 1_000, limits)).toBe(1_000 + limits.domainRecheckMs);
    const failing = judge(proven, "gone", 2_000, limits);
    expect(nextCheckAtMs(failing, null, 2_000, limits)).toBe(2_000 + limits.domainFailingCheckMs);
  });
});

describe("the instructions", () => {
  const texts = (...args: Parameters<typeof subject>) => instructionsOf(subject(...args), null).map(({ text }) => text);

  it("name both records before anybody looked", () => {
    expect(texts(null)).toEqual([
      `Create TXT _berth.shop.example.com with the value ${value}.`,
      `Create CNAME shop.example.com with the value ${target}.`,
    ]);
  });

  it("say for a wrong record what is there, what is wanted, where, and how long it may take", () => {
    const [own, lead] = instructionsOf(
      subject({ proof: records("berth-verify=old", "v=spf1"), pointer: records("old.example.net") }),
      null,
    );
    expect(own).toMatchObject({ ok: false, type: "TXT", name: "_berth.shop.example.com", value, waitSeconds: 600 });
    expect(own?.found).toEqual(["berth-verify=old", "v=spf1"]);
    expect(own?.text).toBe(
      `TXT _berth.shop.example.com is berth-verify=old, v=spf1, and ${value} is not among them. ` +
        "Add it as a further value, or replace the wrong one. Resolvers may remember what they saw for 10 min.",
    );
    expect(lead).toMatchObject({ ok: false, found: ["old.example.net"], waitSeconds: 600 });
    expect(lead?.text).toContain(`shop.example.com leads to old.example.net instead of ${target}.`);
  });

  it("say for an absent record its name within the zone, and how long its absence is remembered", () => {
    expect(texts({})).toEqual([
      `There is no TXT at _berth.shop.example.com. Create it with the value ${value} ` +
        "(in the zone example.com its name is _berth.shop). Resolvers may remember what they saw for 30 min.",
      `shop.example.com leads nowhere. Create CNAME shop.example.com with the value ${target} ` +
        "(in the zone example.com its name is shop). Resolvers may remember what they saw for 30 min.",
    ]);
    expect(texts({}, "example.com")[1]).toContain("(in the zone example.com its name is @)");
  });

  it("find the record that a provider put the zone behind once more", () => {
    const [own] = texts({ doubled: "_berth.shop.example.com.example.com" });
    expect(own).toContain("The record is at _berth.shop.example.com.example.com");
    expect(own).toContain("Rename it to _berth.shop.");
  });

  it("blame nobody for name servers that do not answer", () => {
    const [own, lead] = texts({ proof: failed, pointer: failed, addresses: failed });
    expect(own).toContain(
      "Nobody could say whether TXT _berth.shop.example.com is there: the zone's name servers are silent",
    );
    expect(lead).toContain("Nobody could say where shop.example.com leads");
  });

  it("are without words where a record is right, and ask for what the certificate's issuer wants", () => {
    const certificate = {
      hostnameStatus: "pending",
      status: "pending_validation",
      issuer: null,
      expiresAtMs: null,
      records: [{ name: "_acme-challenge.example.com", value: "x" }],
      errors: [],
      checkedAtMs: 0,
    };
    const right = subject({ proof: records(value), pointer: records(target), addresses: null });
    expect(instructionsOf(right, certificate).map(({ purpose, ok, text }) => [purpose, ok, text])).toEqual([
      ["ownership", true, ""],
      ["traffic", true, ""],
      ["certificate", false, "The certificate's issuer waits for TXT _acme-challenge.example.com with the value x."],
    ]);
    expect(instructionsOf(right, { ...certificate, status: "active" })).toHaveLength(2);
  });
});

describe("the status", () => {
  const here = { target, findings: findings({ pointer: records(target) }) };
  const away = { target, findings: findings({}) };
  const rests = { reason: "rests", untilMs: Date.parse("2026-01-02T03:04:05Z") } as const;
  it.each([
    ["pending", pending, null, away],
    ["blocked", pending, { reason: "taken" } as const, away],
    ["blocked", pending, rests, away],
    ["proven", proven, null, away],
    ["active", proven, null, here],
    ["failing", judge(proven, "gone", 2_000, limits), null, here],
    ["suspended", { kind: "suspended", provenAtMs: 1, sinceMs: 2 } as DomainState, null, here],
  ] as const)("%s", (status, state, blocked, facts) => {
    const shown = statusOf(state, blocked, facts);
    expect(shown.status).toBe(status);
    expect(shown.message).toMatch(/\.$/);
    if (blocked === rests) expect(shown.message).toContain("2026-01-02T03:04:05");
  });
});

describe("the limits", () => {
  it("are tuned by name; what is no positive whole number stays as it is", () => {
    expect(domainLimits('{"domainRestMs": 5, "domainSuspendMs": -1, "drainMs": 3}')).toEqual({
      ...limits,
      domainRestMs: 5,
    });
    expect(domainLimits(undefined)).toBe(limits);
  });
});
