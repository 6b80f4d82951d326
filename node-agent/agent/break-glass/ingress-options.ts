// Whether a node is an ingress, and where: its part of the agent's command line.
import { resolve } from "node:path";
import { z } from "zod";

export const INGRESS_FLAGS = {
  ingress: z
    .string()
    .regex(/^\d{1,5},\d{1,5}$/, { message: "must be two ports, for TLS and for plain HTTP, such as 443,80" })
    .transform((ports) => ports.split(",").map(Number) as [number, number])
    .refine((ports) => ports.every((port) => port >= 1 && port <= 65_535) && ports[0] !== ports[1], {
      message: "must be two different ports from 1 to 65535",
    })
    .optional(),
  "ingress-host": z.string().min(1).default("::"),
  "ingress-certificates": z.string().min(1).optional(),
};

/** certificates: a folder of the operator's; null: none. */
export interface IngressPlace {
  readonly host: string;
  readonly tlsPort: number;
  readonly plainPort: number;
  readonly certificates: string | null;
}

export function ingressOf(said: z.output<z.ZodObject<typeof INGRESS_FLAGS>>): IngressPlace | null {
  const { ingress, "ingress-host": host, "ingress-certificates": folder } = said;
  if (ingress === undefined) {
    if (folder !== undefined) throw new Error("--ingress-certificates is for a node with --ingress");
    return null;
  }
  const [tlsPort, plainPort] = ingress;
  return { host, tlsPort, plainPort, certificates: folder === undefined ? null : resolve(folder) };
}
