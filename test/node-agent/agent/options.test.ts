// The agent's command line: which host ports it offers.
import { describe, expect, it } from "vitest";
import { readCommand } from "../../../node-agent/agent/options.ts";

function offered(...more: string[]): unknown {
  const command = readCommand(["run", "--dir", "d", "--control", "http://c.example", "--name", "n", ...more], {});
  return command.kind === "run" ? command.options.hostPorts : null;
}

describe("--host-ports", () => {
  it("is 1024 to 65535 where nobody says otherwise, and never the gateway's", () => {
    expect(offered()).toEqual([
      [1_024, 7_069],
      [7_071, 65_535],
    ]);
    expect(offered("--gateway-port", "443")).toEqual([[1_024, 65_535]]);
    expect(offered("--host-ports", "443", "--gateway-port", "443")).toEqual([]);
  });

  it("is none where the node is reached through others, unless its operator names some", () => {
    expect(offered("--reach", "relay")).toEqual([]);
    expect(offered("--reach", "relay", "--host-ports", "5432")).toEqual([[5_432, 5_432]]);
  });

  it("takes ports and ranges in any order", () => {
    expect(offered("--host-ports", "8000-8999, 80,443")).toEqual([
      [80, 80],
      [443, 443],
      [8_000, 8_999],
    ]);
    expect(offered("--host-ports", "none")).toEqual([]);
  });

  it.each(["", "0", "70000", "9-8", "http", "1-2-3", "80,", `1${",1".repeat(32)}`])("refuses %j by name", (list) => {
    expect(() => offered("--host-ports", list)).toThrow(/--host-ports: must be ports and ranges/);
  });
});
