// How this node keeps tenants apart: its part of the agent's command line.
import { z } from "zod";
import { type Exception, readExceptions } from "../../../core/outbound/exceptions.ts";
import type { FirewallMode } from "./firewall.ts";
import { type Allowed, readAllowed } from "./ranges.ts";

const allowed = z.string().transform((text, context): Allowed => {
  try {
    return readAllowed(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
});

const outbound = z.string().transform((text, context): readonly Exception[] => {
  const read = readExceptions(text);
  if (read.kind === "exceptions") return read.exceptions;
  context.addIssue({ code: "custom", message: read.message });
  return z.NEVER;
});

const rate = z.coerce.number().int().positive().optional();

export const ISOLATION_FLAGS = {
  firewall: z.enum(["required", "auto", "off"]).default("auto"),
  "egress-allow": z.array(allowed).max(64, { message: "may be given at most 64 times" }).default([]),
  "outbound-allow": outbound.default([]),
  "container-dns": z
    .array(z.union([z.ipv4(), z.ipv6()], { message: "must be an IPv4 or IPv6 address" }))
    .max(3, { message: "may be given at most 3 times" })
    .default([]),
  "io-bytes-per-second": rate,
  "io-operations-per-second": rate,
};

export interface IsolationOptions {
  readonly firewall: FirewallMode;
  /** What containers may reach beside the internet. */
  readonly egressAllowed: readonly Allowed[];
  /** What this node fetches for tenants beside the internet: a registry in the rack. */
  readonly outboundAllowed: readonly Exception[];
  /** Whom containers ask for names; empty: whom this host asks. */
  readonly nameServers: readonly string[];
}

type Said = z.output<z.ZodObject<typeof ISOLATION_FLAGS>>;

export function isolationOf(said: Said): IsolationOptions {
  return {
    firewall: said.firewall,
    egressAllowed: said["egress-allow"],
    outboundAllowed: said["outbound-allow"],
    nameServers: said["container-dns"],
  };
}

/** Limits that the operator gave, beside those of the tuning. */
export function ratesOf(said: Said): { ioBytesPerSecondMax?: number; ioOperationsPerSecondMax?: number } {
  const { "io-bytes-per-second": bytes, "io-operations-per-second": operations } = said;
  return {
    ...(bytes === undefined ? {} : { ioBytesPerSecondMax: bytes }),
    ...(operations === undefined ? {} : { ioOperationsPerSecondMax: operations }),
  };
}
