// For which names an ingress needs certificates, and where their challenges are answered.
import { expect, it } from "vitest";
import { delegatedRecord, namesToCertify } from "../../../core/names/ingress-names.ts";

it("one wildcard does for the platform's hostnames, and each custom one is named, once", () => {
  const hostnames = ["shop.apps.test", "blog.apps.test", "www.shop.example", "*.wild.example", "www.shop.example"];
  expect(namesToCertify("apps.test", hostnames)).toEqual(["*.apps.test", "www.shop.example", "*.wild.example"]);
  expect(namesToCertify(undefined, ["shop.apps.test"])).toEqual(["shop.apps.test"]);
});

it("a wildcard's challenge is answered where that of the name above it is", () => {
  expect(delegatedRecord("*.apps.test", "nodes.test")).toBe("apps.test.acme.nodes.test");
  expect(delegatedRecord("apps.test", "nodes.test")).toBe("apps.test.acme.nodes.test");
});
