// The edge Worker's bindings, variables and secrets.
import type { ObjectEnv } from "../../durable-objects/env.ts";

export interface EdgeEnv extends Pick<ObjectEnv, "APP" | "HOST" | "ROUTES"> {
  readonly BASE_DOMAIN: string;
  /** Where regions are: JSON of {region: {latitude, longitude}}. Absent: all are equally near. */
  readonly REGION_PLACES?: string;
  /** Ed25519 private JWK (JSON, with kid), the same key as the control Worker's. */
  readonly TICKET_SIGNING_KEY: string;
}
