// What the supervisor tells a Worker's host process, in a file only its owner can read (it holds the secrets), and hears back.
import { z } from "zod";

export const HostPlan = z.object({
  name: z.string(),
  scriptPath: z.string(),
  port: z.int(),
  /** Objects, KV and R2 live here. Of a stack's Workers, the folder `kv` is one and the same. */
  storageDir: z.string(),
  /** Workers find each other's objects through this folder. */
  registryDir: z.string(),
  everyMinute: z.boolean(),
  /** Variables and secrets. */
  bindings: z.record(z.string(), z.string()),
  options: z.record(z.string(), z.unknown()),
});
export type HostPlan = z.infer<typeof HostPlan>;

/** Sent to the supervisor when workerd answers, and again whenever it was started anew. */
export interface HostReady {
  readonly kind: "ready";
  readonly workerdPid: number | null;
}
