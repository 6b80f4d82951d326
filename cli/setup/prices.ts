// What Cloudflare charges, in USD: the one table of prices. Read on 2026-11-21 from developers.cloudflare.com: workers/platform/pricing,
// durable-objects/platform/pricing, kv/platform/pricing, r2/pricing, ssl/edge-certificates/advanced-certificate-manager, cloudflare-for-platforms/cloudflare-for-saas/plans.

/** Each a month; Durable Objects are part of the Workers plan. */
export const FIXED = { workersPaid: 5, advancedCertificates: 10 } as const;

/** For one of each. */
export const EACH = {
  workerRequest: 0.3 / 1e6,
  workerCpuMs: 0.02 / 1e6,
  objectRequest: 0.15 / 1e6,
  objectGbSecond: 12.5 / 1e6,
  rowWritten: 1 / 1e6,
  kvRead: 0.5 / 1e6,
  /** Beyond the first 100. */
  customHostname: 0.1,
} as const;

/** What the Workers plan includes a month. */
export const INCLUDED = {
  workerRequests: 10e6,
  workerCpuMs: 30e6,
  objectRequests: 1e6,
  objectGbSeconds: 400_000,
  rowsWritten: 50e6,
  kvReads: 10e6,
} as const;

/** An object is billed for this much memory whatever it uses. */
export const OBJECT_GB = 0.128;
