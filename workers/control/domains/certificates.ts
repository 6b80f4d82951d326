// The port to whoever issues certificates for custom domains, and whether this installation has one.
import type { DomainCertificate } from "../../../contracts/domains.ts";
import type { ControlEnv } from "../env.ts";
import { cloudflareForSaas } from "./cloudflare-for-saas.ts";

export interface IssuedHostname {
  readonly id: string;
  readonly certificate: DomainCertificate;
}

/** Each throws where the issuer cannot be asked or refuses, with its reason in the message. */
export interface Certificates {
  /** Has the hostname there, whether it was before or not. A wildcard: `*.example.com`. */
  ensure(hostname: string): Promise<IssuedHostname>;
  /** Null: it has none of that id. */
  read(id: string): Promise<IssuedHostname | null>;
  /** Also where there is none. */
  remove(id: string): Promise<void>;
}

/** Null: TLS for custom domains is somebody else's concern. */
export function certificatesOf(env: ControlEnv): Certificates | null {
  const { CLOUDFLARE_ZONE_ID: zone, CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_URL: api } = env;
  if (zone === undefined || zone === "" || token === undefined || token === "") return null;
  return cloudflareForSaas({ zone, token, ...(api === undefined ? {} : { api }) });
}
