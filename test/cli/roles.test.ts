// Policies of a role as they are typed on the command line.
import { describe, expect, it } from "vitest";
import { policyOf } from "../../cli/commands/roles.ts";

describe("a policy on the command line", () => {
  it.each([
    ["app:read", { resource: "app", actions: ["read"], condition: {} }],
    ["*:*", { resource: "*", actions: ["*"], condition: {} }],
    [
      "release:create,read@shop,blog",
      { resource: "release", actions: ["create", "read"], condition: { projects: ["shop", "blog"] } },
    ],
    ["app:delete+own", { resource: "app", actions: ["delete"], condition: { own: true } }],
    [
      "environment:update@shop+own+session",
      { resource: "environment", actions: ["update"], condition: { projects: ["shop"], own: true, sessionOnly: true } },
    ],
  ])("%s", (text, policy) => {
    expect(policyOf(text)).toEqual(policy);
  });

  it.each([
    "app",
    "app:",
    ":read",
    "app:fly",
    "node:read",
    "app:read@",
    "app:read+mine",
    "app:read@Shop",
    "app:read@a+own+x",
  ])("%s is refused", (text) => {
    expect(() => policyOf(text)).toThrow(/must be like|Invalid|DNS label/);
  });
});
