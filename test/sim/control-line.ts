// What the control Worker does for agents: heartbeats go to the Cell, polls wait on a socket that the Cell wakes.
import type { HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { Failure, Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { Cluster } from "./cluster.ts";
import { LOST_REPLY } from "./network.ts";
import type { ControlLine } from "./node/link.ts";

type PollAnswer = Result<DesiredDocument | null>;

/** A poll's socket at the Cell; the newest of a node wins. */
export type Socket = (answer: PollAnswer) => void;

const HELD_MS = 25_000;
const AWAY: Failure = { code: "internal", message: "the object was reset" };

export function controlLine(cluster: Cluster, node: NodeId, name: string): ControlLine {
  const { world, network } = cluster;
  return {
    heartbeat(proof, request, timeoutMs, answered, failed) {
      const ask = () => cluster.cellFor(node).take({ kind: "heartbeat", input: { ...proof, request } });
      const way = { from: name, to: "control", timeoutMs };
      network.call<unknown>(way, ask, (reply) => answered(reply as Result<HeartbeatResponse>), failed);
    },
    poll(proof, ackRevision, timeoutMs, answered, failed) {
      world.after(timeoutMs, failed);
      network.send(name, "control", () => {
        const answer: Socket = (result) => network.send("control", name, () => answered(result));
        const admitted = cluster.cellFor(node).take({ kind: "admit", input: proof }) as Result<unknown>;
        if ((admitted as unknown) === LOST_REPLY) return answer({ ok: false, failure: AWAY });
        if (!admitted.ok) return answer(admitted);
        cluster.sockets.set(node, answer);
        const document = cluster.documentOf(node);
        if (document && document.revision > ackRevision) return cluster.wake(node, document);
        world.after(HELD_MS, () => {
          if (cluster.sockets.get(node) !== answer) return;
          cluster.sockets.delete(node);
          answer({ ok: true, value: null });
        });
      });
    },
  };
}

/** The Cell was reset: its sockets are gone. Some Workers notice at once; the others' agents wait until they are told otherwise. */
export function dropSockets(cluster: Cluster, nodes: readonly NodeId[]): void {
  for (const node of nodes) {
    const socket = cluster.sockets.get(node);
    cluster.sockets.delete(node);
    if (socket && cluster.world.chance(0.5)) socket({ ok: false, failure: AWAY });
  }
}
