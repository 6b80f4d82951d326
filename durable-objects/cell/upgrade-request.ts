// What a Worker asks a Cell's fetch for: a poll's socket or an agent's own, with the proof that it has verified.
import { NodeId } from "../../contracts/ids.ts";
import type { NodeProof } from "../../core/messages.ts";
import { refuseUnlessUpgrade } from "../shared/sockets.ts";
import type { Holder } from "./agent-sockets.ts";

export type Asked = { readonly proof: NodeProof; readonly ack: number } & (
  { readonly kind: "poll" } | { readonly kind: "socket"; readonly holder: Holder }
);

/** Or the answer that says what is wrong: 400 where anything is missing or is not of its kind. */
export function askedFor(request: Request): Asked | Response {
  const { pathname, searchParams } = new URL(request.url);
  const kind = pathname === "/socket" ? "socket" : "poll";
  return refuseUnlessUpgrade(request, `/${kind}`) ?? parsed(kind, searchParams) ?? new Response(null, { status: 400 });
}

function parsed(kind: Asked["kind"], query: URLSearchParams): Asked | null {
  const node = NodeId.safeParse(query.get("node"));
  const [jkt, boot] = [query.get("jkt"), query.get("boot")];
  const [seq, ack] = [wholeNumber(query.get("seq")), wholeNumber(query.get("ack"))];
  if (!node.success || !jkt || !boot || seq === null || ack === null) return null;
  const proof = { node: node.data, jkt, boot, lane: kind, seq };
  if (kind === "poll") return { kind, proof, ack };
  const expiresAtMs = wholeNumber(query.get("expires"));
  return expiresAtMs === null ? null : { kind, proof, ack, holder: { node: node.data, jkt, boot, expiresAtMs } };
}

const wholeNumber = (text: string | null): number | null =>
  text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
