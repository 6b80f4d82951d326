// The Cell object, named by its cell: the shell around core/cell, the sockets on which Workers hold its nodes' polls, and its agents' own.
import { DurableObject } from "cloudflare:workers";
import type { PollResponse } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { documentOf } from "../../core/cell/document.ts";
import { stepCell } from "../../core/cell/step.ts";
import type { CellEffect, CellEvent, CellInputs, CellMethod, CellReplies } from "../../core/cell/types.ts";
import type { CellTables, CellVolatile } from "../../core/cell/types.ts";
import { CELL_TABLE_NAMES } from "../../core/cell/types.ts";
import { emptyCellVolatile } from "../../core/cell/volatile.ts";
import { limitsFrom } from "../../core/limits.ts";
import { restoredCell } from "../../core/restore/cell.ts";
import type { CopyRow } from "../../core/restore/types.ts";
import type { ObjectEnv } from "../env.ts";
import type { CellRpc } from "../rpc.ts";
import { answer } from "../shared/answer.ts";
import { closeSocket, finishSocket, Sockets } from "../shared/sockets.ts";
import { StateCopy } from "../shared/state-copy.ts";
import { StepRunner } from "../shared/step-runner.ts";
import { AgentSockets } from "./agent-sockets.ts";
import { runCellEffect } from "./effects.ts";
import { askedFor, type Asked } from "./upgrade-request.ts";

/** Close codes of a poll's socket, beside 1000 (answered). */
const REPLACED = 4001;

type Input<Method extends keyof CellRpc> = Parameters<CellRpc[Method]>[0];

export class Cell extends DurableObject<ObjectEnv> implements CellRpc {
  readonly #runner: StepRunner<CellTables, CellVolatile, CellEvent, CellEffect>;
  readonly #copy: StateCopy;
  readonly #adoptMs: number;
  readonly #sockets: Sockets;
  readonly #agents: AgentSockets;

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    const limits = limitsFrom(env.TUNING);
    const sockets = new Sockets(state);
    this.#sockets = sockets;
    this.#copy = new StateCopy(state.storage);
    this.#adoptMs = limits.adoptMs;
    this.#agents = new AgentSockets({
      sockets,
      heartbeat: (input) => this.#step("heartbeat", input),
      admit: (input) => this.#step("admit", input),
      newer: (node, ack) => this.#newer(node, ack),
    });
    this.#runner = new StepRunner<CellTables, CellVolatile, CellEvent, CellEffect>({
      state,
      tables: CELL_TABLE_NAMES,
      emptyVolatile: emptyCellVolatile,
      step: (durable, volatile, event, at) => stepCell(durable, volatile, event, at, limits),
      run: (effect) =>
        runCellEffect(effect, { state, env, sockets, agents: this.#agents, wake: (node) => this.#wake(node) }),
    });
  }

  async enrol(input: Input<"enrol">) {
    return this.#step("enrol", input);
  }
  async heartbeat(input: Input<"heartbeat">) {
    const answered = this.#step("heartbeat", input);
    // Not of a replay, which would end its socket.
    if (answered.ok) this.#agents.heardOverHttp(input.node);
    return answered;
  }
  async admit(input: Input<"admit">) {
    const admitted = this.#step("admit", input);
    if (admitted.ok && input.renewedUntilMs !== undefined) this.#agents.renewed(input.node, input.renewedUntilMs);
    return admitted;
  }
  async nameNode(input: Input<"nameNode">) {
    return this.#step("nameNode", input);
  }
  async relay(input: Input<"relay">) {
    return this.#step("relay", input);
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
  async roster() {
    return this.#step("roster", {});
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
  async needSnapshot(input: Input<"needSnapshot">) {
    return this.#step("needSnapshot", input);
  }
  async upgrade(input: Input<"upgrade">) {
    return this.#step("upgrade", input);
  }
  async poke() {
    return this.#step("poke", {});
  }
  /** Only for the operator's backup. */
  async dump(input: Input<"dump">) {
    return answer("Cell.dump", () => this.#copy.dump(input));
  }
  async load(input: Input<"load">) {
    const { eventSeq, apps = [] } = input;
    const skip = { eventSeq, apps, nowMs: Date.now(), adoptMs: this.#adoptMs };
    const turn = (rows: readonly CopyRow[]) => restoredCell(rows, skip);
    return answer("Cell.load", () => this.#copy.load(input, turn, () => this.#runner.startAnew()));
  }

  /**
   * `/poll?…&ack=…`: admits the poll, then a socket that gets one message, the node's desired document, once its revision is above
   * ack. `/socket?…&ack=…&expires=…`: the agent's own, for as long as it lives (agent-sockets.ts). Both with node, jkt, boot and
   * seq. Admission comes first, because a socket ends the node's others of its kind, which a replayed proof must not do; 403
   * carries its failure. Accepting the socket and reading the revision is one turn, so that a commit comes before the reading or
   * finds the socket: no wake-up is lost. The newest socket of a node wins.
   */
  override fetch(request: Request): Response {
    const asked = askedFor(request);
    if (asked instanceof Response) return asked;
    const admitted = this.#step("admit", asked.proof);
    if (!admitted.ok) return Response.json(admitted.failure, { status: 403 });
    return asked.kind === "poll" ? this.#holdPoll(asked) : this.#agents.accept(asked.holder, asked.ack);
  }

  #holdPoll({ proof: { node }, ack }: Asked): Response {
    this.#sockets.closeAll(node, REPLACED, "replaced by a newer poll");
    const { server, response } = this.#sockets.accept(node);
    const message = this.#newer(node, ack);
    if (message !== null) finishSocket(server, JSON.stringify(message));
    return response;
  }

  #wake(node: NodeId): void {
    let made: PollResponse | null = null;
    const message = () => (made ??= this.#newer(node, -1));
    this.#agents.wake(node, message);
    if (this.#sockets.count(node) === 0 || message() === null) return;
    this.#sockets.finish(node, JSON.stringify(message()));
  }

  /** The node's document where its revision is above that. */
  #newer(node: NodeId, ackRevision: number): PollResponse | null {
    const { durable, volatile } = this.#runner;
    if ((durable.nodes.get(node)?.revision ?? 0) <= ackRevision) return null;
    const desired = documentOf(durable, node, volatile);
    return desired === null ? null : { revision: desired.revision, desired, nowMs: Date.now() };
  }

  override alarm(): void {
    this.#runner.alarm({ kind: "tick" });
  }

  /** Pollers have nothing to say; pings are answered without waking the object. */
  override webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): void {
    this.#agents.hear(socket, data);
  }

  override webSocketClose(socket: WebSocket): void {
    closeSocket(socket, 1000, "closed");
  }

  #step<Method extends CellMethod>(kind: Method, input: CellInputs[Method]) {
    return answer(`Cell.${kind}`, () => this.#runner.dispatch({ kind, input } as CellEvent) as CellReplies[Method]);
  }
}
