// A domain in the terminal: what it needs, and apart from that what it may have for the day when the edge is away.
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { showDomain } from "../../../cli/domains/show-domain.ts";
import { createOutput } from "../../../cli/output.ts";
import { Domain } from "../../../contracts/domains.ts";

const record = {
  type: "CNAME",
  name: "_acme-challenge.www.shop.example",
  value: "www.shop.example.acme.nodes.example",
};
const domain = (delegation?: object): Domain =>
  Domain.parse({
    ...{ hostname: "www.shop.example", app: "app_01jzzzzzzze0a0000000000001", status: "active", message: "It serves." },
    ...{ instructions: [], certificate: null, blockedUntilMs: null, suspendAtMs: null, provenAtMs: 1 },
    ...{ checkedAtMs: 1, nextCheckAtMs: null, createdAtMs: 1, ...(delegation ? { delegation } : {}) },
  });
function told(shown: Domain): string {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean(written.push(String(text))));
  try {
    showDomain(createOutput({ json: false, tty: false }), shown);
  } finally {
    spy.mockRestore();
  }
  return stripVTControlCharacters(written.join(""));
}

describe("a domain in the terminal", () => {
  it("names the record for break-glass certificates, that it is optional, what it is for, and what is there", () => {
    const text = told(domain({ ...record, ok: false, found: ["old.example"], text: "Optional: with it the racks …" }));
    expect(text).toContain("When the edge is away (optional)");
    expect(text).toMatch(
      /– +CNAME +_acme-challenge\.www\.shop\.example +www\.shop\.example\.acme\.nodes\.example +old/,
    );
    expect(text).toContain("• Optional: with it the racks …");
  });

  it("says that it is seen", () => {
    const text = told(domain({ ...record, ok: true, found: [record.value], text: "" }));
    expect(text).toMatch(/✓ +CNAME +_acme-challenge/);
    expect(text).toContain("ahead of need");
  });

  it("says nothing of it where no node would use it", () => {
    expect(told(domain())).not.toContain("_acme-challenge");
  });
});
