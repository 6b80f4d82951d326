// Judges an agent's proof of freshness: a new boot ends the older ones for good, and within a boot no seq counts twice.
import type { Failure } from "../../contracts/failures.ts";
import type { NodeProof } from "../messages.ts";
import { allow } from "./allowance.ts";
import { hearOlderStart } from "./cloned.ts";
import { beatOf, type CellContext } from "./context.ts";
import type { AskWindow, NodeRow } from "./types.ts";

/**
 * The node, or why not. heartbeat and poll must rise; asks run side by side, so a window of them may come out of order.
 * Seqs are volatile (a row per heartbeat would cost more than all else): after a restart of this object a proof may be
 * repeated once within its own 30 s of life, which tells the Cell nothing that the next heartbeat does not correct.
 */
export function judgeProof(
  ctx: CellContext,
  proof: NodeProof,
): { ok: true; node: NodeRow } | { ok: false; failure: Failure } {
  const node = ctx.draft.get("nodes", proof.node);
  if (!node) return no("credential_invalid", "This cell does not know the node.");
  if (node.phase === "removed") return no("node_revoked", "The node was revoked.");
  if (node.jkt !== proof.jkt) return no("credential_invalid", "The credential was made for another key of this node.");
  const isNewBoot = node.boots.at(-1) !== proof.boot;
  // A new boot is a row, and so is a socket.
  const isRow = isNewBoot || proof.lane === "socket";
  if ((isRow || proof.lane === "heartbeat") && allow(ctx, node.id, "beats", 1) === 0) return tooMany(ctx);
  if (isNewBoot) {
    if (node.boots.includes(proof.boot)) {
      if (proof.lane === "heartbeat") hearOlderStart(ctx, node.id);
      return no("proof_replayed", "A newer start of this agent was already seen.");
    }
    const renewed = { ...node, boots: [...node.boots, proof.boot].slice(-ctx.limits.bootsKept), socketSeq: 0 };
    ctx.draft.put("nodes", node.id, renewed);
    const lanes = { heartbeat: 0, poll: 0, ask: { highest: 0, used: [] } };
    ctx.setBeat(node.id, { ...beatOf(ctx, node.id), bootSinceMs: ctx.nowMs, lanes });
    return takeSeq(ctx, proof, renewed);
  }
  return takeSeq(ctx, proof, node);
}

function takeSeq(ctx: CellContext, proof: NodeProof, node: NodeRow): ReturnType<typeof judgeProof> {
  if (proof.lane === "socket") return takeSocket(ctx, proof.seq, node);
  const beat = beatOf(ctx, node.id);
  if (proof.lane === "ask") {
    const ask = takeFromWindow(beat.lanes.ask, proof.seq, ctx.limits.askWindow);
    if (!ask) return no("proof_replayed", "This ask was already used, or is too old.");
    ctx.setBeat(node.id, { ...beat, lanes: { ...beat.lanes, ask } });
    return { ok: true, node };
  }
  if (proof.seq <= beat.lanes[proof.lane]) return no("proof_replayed", "A newer proof of this lane was already seen.");
  ctx.setBeat(node.id, { ...beat, lanes: { ...beat.lanes, [proof.lane]: proof.seq } });
  return { ok: true, node };
}

/** Durable: a socket is opened seldom and lives for days, and whoever repeated its proof could speak for the node on one of his own. */
function takeSocket(ctx: CellContext, seq: number, node: NodeRow): ReturnType<typeof judgeProof> {
  if (seq <= (node.socketSeq ?? 0)) return no("proof_replayed", "A newer socket of this agent was already seen.");
  const opened = { ...node, socketSeq: seq };
  ctx.draft.put("nodes", node.id, opened);
  return { ok: true, node: opened };
}

function takeFromWindow(window: AskWindow, seq: number, width: number): AskWindow | null {
  if (seq <= window.highest - width || seq === window.highest || window.used.includes(seq)) return null;
  const highest = Math.max(window.highest, seq);
  const used = [...window.used, seq === highest ? window.highest : seq].filter((old) => old > highest - width);
  return { highest, used };
}

const tooMany = ({ limits }: CellContext) => {
  const message = `More heartbeats, or starts, than ${limits.beatsPerMinute} a minute.`;
  return { ok: false as const, failure: { code: "rate_limited" as const, message, retryAfterMs: 1_000 } };
};
const no = (code: Failure["code"], message: string) => ({ ok: false as const, failure: { code, message } });
