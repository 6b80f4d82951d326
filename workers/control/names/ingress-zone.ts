// Whether nodes of this installation order certificates for apps' hostnames, and below which zone their challenges are answered.
import type { ControlEnv } from "../env.ts";

/** Ids as the operator wrote them. */
export const ingressNodes = ({ INGRESS_NODES }: Pick<ControlEnv, "INGRESS_NODES">): string[] =>
  (INGRESS_NODES ?? "")
    .split(",")
    .map((id) => id.trim())
    .filter((id) => id !== "");

/** Null: no node may, or nobody could answer. */
export function ingressZoneOf(env: Pick<ControlEnv, "INGRESS_NODES" | "NODES_ZONE">): string | null {
  const zone = (env.NODES_ZONE ?? "").toLowerCase().replace(/\.$/, "");
  return zone === "" || ingressNodes(env).length === 0 ? null : zone;
}
