// The Cell object, named by its cell: the shell around core/cell, and the sockets on which Workers hold its nodes' polls.
import { DurableObject } from "cloudflare:workers";
import { NodeId } from "../../contracts/ids.ts";
import { documentOf } from "../../core/cell/document.ts";
import { stepCell } from "../../core/cell/step.ts";
import type { CellEffect, CellEvent, CellInputs, CellMethod, CellReplies } from "../../core/cell/types.ts";
import type { CellTables, CellVolatile } from "../../core/cell/types.ts";
import { CELL_TABLE_NAMES } from "../../core/cell/types.ts";
import { emptyCellVolatile } from "../../core/cell/volatile.ts";
import { limitsFrom } from "../../core/limits.ts";
import type { ObjectEnv } from "../env.ts";
import type { CellRpc, NodeProof } from "../rpc.ts";
import { answer } from "../shared/answer.ts";
import { closeSocket, finishSocket, refuseUnlessUpgrade, Sockets } from "../shared/sockets.ts";
import { StepRunner } from "../shared/step-runner.ts";
import { pollMessage, runCellEffect } from "./effects.ts";

/** Close codes of a poll's socket, beside 1000 (answered). */
const REPLACED = 4001;

type Input<Method extends keyof CellRpc> = Parameters<CellRpc[Method]>[0];

export class Cell extends DurableObject<ObjectEnv> implements CellRpc {
  readonly #runner: StepRunner<CellTables, CellVolatile, CellEvent, CellEffect>;
  readonly #sockets: Sockets;

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    const limits = limitsFrom(env.TUNING);
    const sockets = new Sockets(state);
    this.#sockets = sockets;
    this.#runner = new StepRunner<CellTables, CellVolatile, CellEvent, CellEffect>({
      state,
      tables: CELL_TABLE_NAMES,
      emptyVolatile: emptyCellVolatile,
      step: (durable, volatile, event, at) => stepCell(durable, volatile, event, at, limits),
      run: (effect) => runCellEffect(effect, { state, env, sockets, wake: (node) => this.#wake(node) }),
    });
  }

  async enrol(input: Input<"enrol">) {
    return this.#step("enrol", input);
  }
  async heartbeat(input: Input<"heartbeat">) {
    return this.#step("heartbeat", input);
  }
  async admit(input: Input<"admit">) {
    return this.#step("admit", input);
  }
  async reserve(input: Input<"reserve">) {
    return this.#step("reserve", input);
  }
  async commit(input: Input<"commit">) {
    return this.#step("commit", input);
  }
  async update(input: Input<"update">) {
    return this.#step("update", input);
  }
  async listNodes() {
    return this.#step("listNodes", {});
  }
  async readNode(input: Input<"readNode">) {
    return this.#step("readNode", input);
  }
  async summary() {
    return this.#step("summary", {});
  }
  async cordon(input: Input<"cordon">) {
    return this.#step("cordon", input);
  }
  async uncordon(input: Input<"uncordon">) {
    return this.#step("uncordon", input);
  }
  async drain(input: Input<"drain">) {
    return this.#step("drain", input);
  }
  async remove(input: Input<"remove">) {
    return this.#step("remove", input);
  }
  async nodeInstances(input: Input<"nodeInstances">) {
    return this.#step("nodeInstances", input);
  }
  async rebalance(input: Input<"rebalance">) {
    return this.#step("rebalance", input);
  }
  async revoke(input: Input<"revoke">) {
    return this.#step("revoke", input);
  }
  async poke() {
    return this.#step("poke", {});
  }

  /**
   * `/poll?node=…&jkt=…&boot=…&seq=…&ack=…`: admits the poll, then a socket that gets one message, the node's desired document,
   * once its revision is above ack. Admission comes first, because a socket ends the node's other polls, which a replayed proof
   * must not do; 403 carries its failure. Accepting the socket and reading the revision is one turn, so that a commit comes
   * before the reading or finds the socket: no wake-up is lost. The newest socket of a node wins.
   */
  override fetch(request: Request): Response {
    const refused = refuseUnlessUpgrade(request, "/poll");
    if (refused !== null) return refused;
    const asked = pollOf(new URL(request.url).searchParams);
    if (asked === null) return new Response(null, { status: 400 });
    const admitted = this.#step("admit", asked.proof);
    if (!admitted.ok) return Response.json(admitted.failure, { status: 403 });
    const { node } = asked.proof;
    this.#sockets.closeAll(node, REPLACED, "replaced by a newer poll");
    const { server, response } = this.#sockets.accept(node);
    const { durable, volatile } = this.#runner;
    if ((durable.nodes.get(node)?.revision ?? 0) > asked.ack) {
      const desired = documentOf(durable, node, volatile);
      if (desired !== null) finishSocket(server, pollMessage(desired));
    }
    return response;
  }

  #wake(node: NodeId): void {
    if (this.#sockets.count(node) === 0) return;
    const desired = documentOf(this.#runner.durable, node, this.#runner.volatile);
    if (desired !== null) this.#sockets.finish(node, pollMessage(desired));
  }

  override alarm(): void {
    this.#runner.alarm({ kind: "tick" });
  }

  /** Pollers have nothing to say; pings are answered without waking the object. */
  override webSocketMessage(): void {}

  override webSocketClose(socket: WebSocket): void {
    closeSocket(socket, 1000, "closed");
  }

  #step<Method extends CellMethod>(kind: Method, input: CellInputs[Method]) {
    return answer(`Cell.${kind}`, () => this.#runner.dispatch({ kind, input } as CellEvent) as CellReplies[Method]);
  }
}

/** null where anything is missing or is not of its kind. */
function pollOf(query: URLSearchParams): { proof: NodeProof; ack: number } | null {
  const node = NodeId.safeParse(query.get("node"));
  const [jkt, boot] = [query.get("jkt"), query.get("boot")];
  const [seq, ack] = [wholeNumber(query.get("seq")), wholeNumber(query.get("ack"))];
  if (!node.success || !jkt || !boot || seq === null || ack === null) return null;
  return { proof: { node: node.data, jkt, boot, lane: "poll", seq }, ack };
}

const wholeNumber = (text: string | null): number | null =>
  text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
