// From a hostname as a request writes it to the one form in which it is kept; what can be no custom domain is refused with the reason.
import { readHostname, reservedBy } from "../../../core/domains/hostname.ts";
import type { ControlEnv } from "../env.ts";
import { failField } from "../http/problem.ts";

export function hostnameAsked(written: string, pointer: string): string {
  const read = readHostname(written);
  if (read.kind === "hostname") return read.hostname;
  return failField("invalid_request", { pointer, rule: read.rule, message: read.message });
}

/** The platform's zone, where the API and the edge are reached, and what the operator names beside (nodes, mail). */
export function refuseReserved(env: ControlEnv, requestUrl: string, hostname: string, pointer: string): void {
  const named = (env.RESERVED_DOMAINS ?? "").split(",").map((name) => name.trim().toLowerCase());
  const own = [
    env.BASE_DOMAIN,
    env.DOMAIN_TARGET ?? "",
    new URL(requestUrl).hostname,
    new URL(env.EDGE_ORIGIN).hostname,
  ];
  const reserved = reservedBy(
    hostname,
    [...own, ...named].filter((name) => name !== ""),
  );
  if (reserved === null) return;
  const message = `${hostname} is of ${reserved}, which is the platform's own: it can be no custom domain`;
  failField("unprocessable", { pointer, rule: "reserved", message });
}
