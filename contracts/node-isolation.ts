// What a node says of how it keeps tenants apart.
import { z } from "zod";
import { RuntimeClass } from "./release.ts";

/**
 * How a node keeps tenants apart. userNamespaces: root in a container is nobody on the host. confined: AppArmor or SELinux too.
 * firewall: whole; weak, as its conditions say; missing; off, by its operator's word.
 */
export const NodeIsolation = z.object({
  runtimeClasses: z.array(RuntimeClass).max(8),
  userNamespaces: z.boolean(),
  seccomp: z.boolean(),
  confined: z.boolean(),
  firewall: z.enum(["whole", "weak", "missing", "off"]),
});
export type NodeIsolation = z.infer<typeof NodeIsolation>;
