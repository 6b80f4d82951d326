// What doctor says of nodes and domains, and that the runbook has an answer to each alarm.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CONDITION_KINDS } from "../../contracts/agent-protocol.ts";
import type { DomainCertificate } from "../../contracts/domains.ts";
import { domainFindings } from "../../cli/doctor/domain-findings.ts";
import { nodeFindings } from "../../cli/doctor/node-findings.ts";
import { upgradeFindings } from "../../cli/doctor/upgrade-findings.ts";
import type { RegionName } from "../../contracts/ids.ts";

const NOW_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;
const node = {
  ...{ name: "rack-1", phase: "ready" as const, conditions: [], instances: 3, ackRevision: 9 },
  lastHeartbeatAtMs: NOW_MS - 1_000,
};
const runbook = readFileSync(new URL("../../docs/OPERATING.md", import.meta.url), "utf8");
const alarms = runbook.slice(runbook.indexOf("### Alarms"), runbook.indexOf("### Network plan"));

describe("of a node doctor says", () => {
  it("that it is well, and nothing of one that was removed", () => {
    expect(nodeFindings(node, NOW_MS)).toEqual([expect.objectContaining({ ok: true, mend: null })]);
    expect(nodeFindings({ ...node, phase: "removed" }, NOW_MS)).toEqual([]);
  });

  it.each([
    [{ phase: "lost" as const, lastHeartbeatAtMs: NOW_MS - 90_000 }, "lost, last heard of 90 s ago"],
    [{ lastHeartbeatAtMs: NOW_MS - 60_000 }, "ready, last heard of 60 s ago"],
    [{ phase: "enrolled" as const, lastHeartbeatAtMs: null }, "enrolled, never heard of"],
  ])("what is wrong, and where to look: %j", (wrong, detail) => {
    const [found, ...others] = nodeFindings({ ...node, ...wrong }, NOW_MS);
    expect(found).toMatchObject({ ok: false, detail });
    expect(found!.mend).toMatch(/^on rack-1: systemctl status berth-agent/);
    expect(others).toEqual([]);
  });

  it.each(CONDITION_KINDS)("%s, with what mends it, though the node is ready; so does the runbook", (kind) => {
    const conditions = [{ kind, message: "as the agent saw it", sinceMs: NOW_MS - 300_000 }];
    const [phase, condition] = nodeFindings({ ...node, conditions }, NOW_MS);
    expect(phase).toMatchObject({ ok: true });
    expect(condition).toMatchObject({
      check: "node rack-1",
      ok: false,
      detail: `${kind} for 300 s: as the agent saw it`,
    });
    expect(condition!.mend).not.toContain("{node}");
    expect(condition!.mend!.length).toBeGreaterThan(10);
    expect(alarms).toContain(`| \`${kind}\` |`);
  });
});

describe("of upgrades of agents doctor says", () => {
  const upgrade = { region: "eu-west" as RegionName, version: "1.4.0", stage: "one_cell" as const, fault: null };

  it("what stopped one, and where to look", () => {
    const fault = { node: null, name: "rack-1", why: "reverted 1.4.0: no heartbeat was acknowledged within 60 s" };
    expect(upgradeFindings({ ...upgrade, state: "failed", fault })).toEqual([
      {
        ...{ check: "agents in eu-west", ok: false, mend: "berth nodes upgrade status" },
        detail: `the upgrade to 1.4.0 stopped in stage one_cell: rack-1 ${fault.why}`,
      },
    ]);
  });

  it("nothing against one that goes on, or is over", () => {
    expect(upgradeFindings({ ...upgrade, state: "running" })).toMatchObject([{ ok: true }]);
    expect(upgradeFindings({ ...upgrade, state: "paused" })[0]!.detail).toContain("paused");
    expect(upgradeFindings({ ...upgrade, state: "completed" })).toEqual([]);
  });
});

describe("of a domain doctor says", () => {
  const certificate = (expiresAtMs: number | null, errors: string[] = []): DomainCertificate => ({
    ...{ hostnameStatus: "active", status: "active", issuer: null, records: [], checkedAtMs: NOW_MS },
    ...{ expiresAtMs, errors },
  });
  const look = (more: Partial<Parameters<typeof domainFindings>[0]>) =>
    domainFindings(
      { hostname: "shop.test", status: "active", message: "it serves", certificate: null, ...more },
      "web",
      NOW_MS,
    );

  it.each(["active", "proven", "pending"] as const)("nothing against one that is %s", (status) => {
    expect(look({ status })).toEqual([expect.objectContaining({ ok: true, detail: "it serves" })]);
  });

  it.each(["blocked", "failing", "suspended"] as const)("why one is %s, and how to see its records", (status) => {
    const [found] = look({ status, message: "the TXT record is gone" });
    expect(found).toMatchObject({ ok: false, detail: "the TXT record is gone" });
    expect(found!.mend).toBe("berth domains verify 'shop.test' --app web");
  });

  it.each([
    [certificate(NOW_MS + 60 * DAY_MS), true, "it serves"],
    [certificate(NOW_MS + 13 * DAY_MS), false, "ends in 312 h and was not renewed"],
    [certificate(NOW_MS - 1), false, "has expired"],
    [certificate(null, ["CAA forbids it"]), false, "CAA forbids it"],
  ])("what is to be said of its certificate: %#", (given, ok, detail) => {
    const [found] = look({ certificate: given });
    expect(found!.ok).toBe(ok);
    expect(found!.detail).toContain(detail);
  });
});
