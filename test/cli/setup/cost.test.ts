// The price of a platform: against sums made by hand, and that it grows with what is used.
import { expect, test } from "vitest";
import { monthlyCost } from "../../../cli/setup/cost.ts";

const MONTH_S = 2_592_000;

test("nothing beyond the plan is charged while the plan includes it", () => {
  const cost = monthlyCost({ nodes: 0, requestsPerMonth: 10_000_000, advancedCertificate: false });
  expect(cost.totalUsdPerMonth).toBe(5);
});

test("requests beyond the included ten million cost 0.30 a million", () => {
  const cost = monthlyCost({ nodes: 0, requestsPerMonth: 110_000_000, advancedCertificate: false });
  expect(cost.lines.find(({ what }) => what === "Workers: requests")?.usdPerMonth).toBe(30);
});

test("ten thousand nodes cost what bench:poll counts over sockets, less what the plan includes", () => {
  const { lines } = monthlyCost({ nodes: 10_000, requestsPerMonth: 0, advancedCertificate: false });
  const usd = (what: string) => lines.find((line) => line.what === what)?.usdPerMonth;
  const sockets = 10_000 * 4 * 30;
  expect(usd("Workers: requests")).toBe(0);
  const objectRequests = sockets + (157 / 3) * MONTH_S + (10_000 * MONTH_S) / 2 / 20;
  expect(usd("Durable Objects: requests")).toBeCloseTo((objectRequests - 1e6) * 0.15e-6, 1);
  expect(usd("Durable Objects: rows written")).toBeCloseTo(((157 / 3) * MONTH_S * 2 + sockets - 50e6) * 1e-6, 1);
});

test("a domain below the zone's first level adds the certificate's price, and the lines add up", () => {
  const without = monthlyCost({ nodes: 100, requestsPerMonth: 1e9, advancedCertificate: false });
  const cost = monthlyCost({ nodes: 100, requestsPerMonth: 1e9, advancedCertificate: true });
  expect(cost.totalUsdPerMonth - without.totalUsdPerMonth).toBeCloseTo(10);
  expect(cost.lines.reduce((sum, { usdPerMonth }) => sum + usdPerMonth, 0)).toBeCloseTo(cost.totalUsdPerMonth);
});
