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
  const reserved = reservedBy(hostname, [env.BASE_DOMAIN, new URL(requestUrl).hostname, ...ownNames(env)]);
  if (reserved === null) return;
  const message = `${hostname} is of ${reserved}, which is the platform's own: it can be no custom domain`;
  failField("unprocessable", { pointer, rule: "reserved", message });
}

/**
 * Whether an app's own hostname would be one of the platform's: where those are directly below the apps' domain, a name that a customer
 * chooses could be the API's.
 */
export const isPlatforms = (env: ControlEnv, hostname: string): boolean => ownNames(env).includes(hostname);

/** Beside the apps' domain. The API's is the configured one: a request may say of itself what it likes. */
function ownNames({ RESERVED_DOMAINS = "", DOMAIN_TARGET = "", EDGE_ORIGIN, CONTROL_ORIGIN }: ControlEnv): string[] {
  const origins = [EDGE_ORIGIN, ...(CONTROL_ORIGIN === undefined ? [] : [CONTROL_ORIGIN])];
  const named = [...RESERVED_DOMAINS.split(","), DOMAIN_TARGET].map((name) => name.trim().toLowerCase());
  return [...named.filter((name) => name !== ""), ...origins.map((origin) => new URL(origin).hostname)];
}
