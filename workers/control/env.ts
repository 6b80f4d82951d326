// The control Worker's bindings, variables and secrets.
import type { ObjectEnv } from "../../durable-objects/env.ts";

export interface ControlEnv extends ObjectEnv {
  readonly BUNDLES: R2Bucket;
  readonly BASE_DOMAIN: string;
  readonly EDGE_ORIGIN: string;
  readonly DEFAULT_REGION: string;
  /** Neon URLs of the roles berth_app and berth_auth. */
  readonly DATABASE_URL_APP: string;
  readonly DATABASE_URL_AUTH: string;
  /** host:port of the local Neon adapter; absent in production. */
  readonly NEON_ADAPTER?: string;
  /** Ed25519 private JWKs (JSON, with kid): node credentials; gateway tickets. */
  readonly CREDENTIAL_SIGNING_KEY: string;
  readonly TICKET_SIGNING_KEY: string;
  /** JSON {"current": "1", "keys": {"1": "<32 bytes, base64url>"}}: the key-encryption keys, by version. */
  readonly SECRETS_KEYS: string;
  readonly BETTER_AUTH_SECRET: string;
  readonly SETUP_TOKEN: string;
}
