// Nodes that cannot be reached: through which other node of the cell the edge comes to each, and who else stands ready for it.
import type { AppId, NodeId } from "../../contracts/ids.ts";
import { rankOf } from "../random.ts";
import { ok, refuse } from "../results.ts";
import { closedReason } from "./availability.ts";
import { emit, type CellContext } from "./context.ts";
import { tellApp } from "./messages.ts";
import { reservationsOn, residentsOf } from "./residents.ts";
import type { CellInputs, CellReplies, NodeRow } from "./types.ts";

/** Seeds nothing but an order of its own for each node, so that relaying is spread. */
const ORDER = "72656c61";

/** Best first; the second in another failure domain, where there is one. Who is about to leave relays for nobody new. */
export function relaysFor(ctx: CellContext, node: NodeRow): NodeRow[] {
  const fit = [...ctx.draft.values("nodes")]
    .filter((other) => other.id !== node.id && !isHidden(other) && closedReason(ctx, other) === null)
    .sort((a, b) => rankOf(ORDER, node.id + a.id) - rankOf(ORDER, node.id + b.id));
  const [first, ...rest] = fit;
  if (first === undefined) return [];
  const elsewhere = rest.find(({ failureDomain }) => failureDomain !== first.failureDomain);
  const others = elsewhere === undefined ? rest : [elsewhere, ...rest.filter((other) => other !== elsewhere)];
  return [first, ...others].slice(0, ctx.limits.relaysPerNodeMax);
}

/** Nobody is reached through whom nobody reaches. */
export const isHidden = ({ reach }: NodeRow): boolean => reach !== undefined && reach !== "direct";

/** held: to whom the node has a connection just now. Stays with who relays already, so that routes are not changed for nothing. */
export function relay(ctx: CellContext, { node: id, held }: CellInputs["relay"]): CellReplies["relay"] {
  const node = ctx.draft.get("nodes", id);
  if (!node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return refuse("node_revoked", "The node was removed.");
  const relays = relaysFor(ctx, node);
  const usable = relays.filter((other) => held.includes(other.id));
  const chosen = usable.find((other) => other.id === node.relay?.through) ?? usable[0] ?? lastOf(ctx, node, held);
  const through = chosen?.id ?? null;
  const changed = node.relay === undefined || node.relay.through !== through || node.relay.held !== held.length;
  if (changed || node.reach !== "relay")
    ctx.draft.put("nodes", id, { ...node, reach: "relay", relay: { through, held: held.length } });
  if (chosen !== undefined) moveTo(ctx, id, chosen.gatewayUrl);
  return ok({
    relays: relays.map((other) => ({ node: other.id, name: other.name, gatewayUrl: other.gatewayUrl })),
    through,
  });
}

/** Nobody better is there: one that is about to leave still relays. */
function lastOf(ctx: CellContext, node: NodeRow, held: readonly NodeId[]): NodeRow | undefined {
  const rows = held.map((id) => ctx.draft.get("nodes", id));
  const there = rows.filter((row) => row !== undefined && row.phase !== "removed" && !isHidden(row));
  return there.find((row) => row?.id === node.relay?.through) ?? there[0];
}

/** The edge comes to the node under another address from now on; Apps with instances there are told, and so are nodes behind it. */
export function moveTo(ctx: CellContext, id: NodeId, gatewayUrl: string): void {
  const node = ctx.draft.get("nodes", id)!;
  if (gatewayUrl === node.gatewayUrl) return;
  ctx.draft.put("nodes", id, { ...node, gatewayUrl });
  emit(ctx, { type: "node.moved", subject: id, data: { name: node.name, from: node.gatewayUrl, to: gatewayUrl } });
  const apps = new Set<AppId>(residentsOf(ctx, id).map(({ desired }) => desired.app));
  for (const instance of reservationsOn(ctx, id)) apps.add(ctx.draft.get("reservations", instance)!.app);
  for (const app of apps) tellApp(ctx, app, { kind: "node_moved", node: id, gatewayUrl });
  const behind = [...ctx.draft.values("nodes")].filter(({ relay }) => relay?.through === id);
  for (const other of behind) moveTo(ctx, other.id, gatewayUrl);
}
