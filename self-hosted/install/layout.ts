// What lies in a self-hosted platform's folder, and what its settings are. Pure.
import { z } from "zod";

export const FILES = {
  settings: "settings.json",
  secrets: "secrets.env",
  configuration: "berth.capnp",
  workers: ["control.mjs", "edge.mjs", "stores.mjs"],
  companion: "companion.mjs",
  companionSecrets: "companion.env",
  workerd: "bin/workerd",
  platformSocket: "systemd/berth-platform.socket",
  platformUnit: "systemd/berth-platform.service",
  companionUnit: "systemd/berth-companion.service",
  proxy: "Caddyfile",
} as const;

const Variables = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string());

/** What the operator chose. No secret is in it; `vars` is for the operator to add to (workers/control/env.ts names them). */
export const Settings = z.strictObject({
  domain: z.string(),
  apiHost: z.string(),
  region: z.string(),
  /** The first of four ports on 127.0.0.1: API, visitors, clock, database adapter. */
  port: z.int().min(1).max(65_532),
  postgres: z.strictObject({
    host: z.string(),
    port: z.int(),
    tls: z.boolean(),
    /** A file with the authority of its certificate, where that is one of the operator's own. */
    authority: z.string().optional(),
  }),
  s3: z.strictObject({ endpoint: z.string(), bucket: z.string(), region: z.string() }),
  vars: z.strictObject({ control: Variables, edge: Variables }),
});
export type Settings = z.infer<typeof Settings>;

export interface Ports {
  readonly control: number;
  readonly edge: number;
  readonly clock: number;
  readonly adapter: number;
}

export const portsOf = ({ port }: Settings): Ports => ({
  control: port,
  edge: port + 1,
  clock: port + 2,
  adapter: port + 3,
});
