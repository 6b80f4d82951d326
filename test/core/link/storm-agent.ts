// An agent in virtual time: its socket by the real state machine, heartbeats and polls with the real limits, as node-agent/agent/link has them.
import { AGENT_LIMITS as LIMITS } from "../../../core/converge/limits.ts";
import {
  firstSocketState,
  isThere,
  lookAtMs,
  type SocketEvent,
  type SocketState,
  stepSocket,
  wayOf,
} from "../../../core/link/socket.ts";
import { tooLateText } from "../../../core/link/too-late.ts";
import type { Answer, StormControl, Work } from "./storm-control.ts";

const TRIES_PER_BEAT = 4;
const QUICK_TRIES_MAX = 20;
/** As the Cell has it: HTTP heartbeats beside an open socket that says nothing. */
const HTTP_BEATS_MAX = 4;

export class StormAgent {
  /** Since `begin`: the first heartbeat answered, a poll held or a socket there, heartbeats refused, upgrades asked for. */
  heardAtMs = Infinity;
  wakeableAtMs = Infinity;
  refused = 0;
  upgrades = 0;
  state: SocketState;
  readonly #control: StormControl;
  /** Counts up with each socket and each end of one: what belongs to another one is passed over. */
  #socket = 0;
  #look = 0;
  #pollTurn = 0;
  #pollFailures = 0;
  #failures = 0;
  #httpBeats = 0;
  #knownSince = -1;

  constructor(control: StormControl) {
    this.#control = control;
    this.state = firstSocketState(LIMITS, this.#at());
    control.whenItEnds(() => isThere(this.state) && this.#end());
  }

  start(): void {
    const { world } = this.#control;
    world.after(world.random() * LIMITS.heartbeatMs, () => this.#beat());
    world.after(world.random() * LIMITS.heartbeatMs, () => this.#poll());
    this.#arm();
  }

  begin(): void {
    [this.heardAtMs, this.wakeableAtMs, this.refused, this.upgrades] = [Infinity, Infinity, 0, 0];
  }

  #at() {
    return { nowMs: this.#control.world.nowMs, share: this.#control.world.random() };
  }

  #end(): void {
    this.#control.world.after(1, () => this.#take({ kind: "ended", end: "failed", retryAfterMs: null }));
  }

  #take(event: SocketEvent): void {
    const before = this.state;
    this.state = stepSocket(before, event, this.#at(), LIMITS);
    this.#arm();
    if (this.state.kind === "closed" && before.kind !== "closed") this.#socket += 1;
    if (this.state.kind === "opening" && before.kind !== "opening") this.#open();
    if (isThere(before) === isThere(this.state)) return;
    const turn = ++this.#pollTurn;
    if (isThere(this.state)) return this.#wakeable();
    const asideMs = LIMITS.pollAsideMs * (1 + this.#control.world.random());
    this.#control.world.after(asideMs, () => turn === this.#pollTurn && this.#poll());
  }

  #arm(): void {
    const look = ++this.#look;
    const atMs = lookAtMs(this.state, LIMITS);
    if (atMs === null) return;
    const { world } = this.#control;
    world.after(atMs - world.nowMs, () => look === this.#look && this.#take({ kind: "look" }));
  }

  #wakeable(): void {
    this.wakeableAtMs = Math.min(this.wakeableAtMs, this.#control.world.nowMs);
  }

  /** Whether the control plane, since it started, sees this agent for the first time. */
  #isFirst(): boolean {
    const isFirst = this.#knownSince !== this.#control.starts;
    this.#knownSince = this.#control.starts;
    return isFirst;
  }

  #ask(work: Work, end: (answer: Answer) => void): void {
    this.#control.ask(() => ({ work, isFirst: this.#isFirst(), answer: "taken" }), end);
  }

  #open(): void {
    const socket = ++this.#socket;
    this.upgrades += 1;
    this.#ask("upgrade", (answer) => {
      if (socket !== this.#socket) return;
      if (answer === "taken") this.#take({ kind: "opened" });
      else this.#end();
    });
  }

  #beat(): void {
    const { world } = this.#control;
    // What is about to go over a socket does not go over HTTP as well.
    const openedForMs = this.state.kind === "opening" ? world.nowMs - this.state.sinceMs : LIMITS.heartbeatMs;
    if (openedForMs < LIMITS.heartbeatMs) return world.after(20, () => this.#beat());
    const sentAtMs = world.nowMs;
    const way = wayOf(this.state);
    const socket = this.#socket;
    this.#take({ kind: "beat" });
    let isSettled = false;
    const next = (isWell: boolean, waitMs: number) => {
      if (isSettled) return;
      isSettled = true;
      this.#failures = isWell ? 0 : this.#failures + 1;
      world.after(waitMs, () => this.#beat());
    };
    const failed = () => next(false, this.#again(sentAtMs));
    world.after(LIMITS.heartbeatTimeoutMs, () => {
      if (isSettled) return;
      if (way === "socket" && socket === this.#socket) this.#take({ kind: "unanswered", sentAtMs });
      failed();
    });
    const judge = () => this.#judge(way, sentAtMs);
    this.#control.ask(judge, (answer) => {
      if (answer === "gone" || (way === "socket" && socket !== this.#socket)) return failed();
      if (way === "socket") this.#take({ kind: "answered", sentAtMs });
      if (answer === "refused") {
        this.refused += 1;
        if (way === "http") this.#take({ kind: "busy_over_http" });
        return next(false, LIMITS.heartbeatMs);
      }
      if (world.nowMs - sentAtMs > LIMITS.heartbeatGiveUpMs) return;
      this.heardAtMs = Math.min(this.heardAtMs, world.nowMs);
      if (way === "http") this.#take({ kind: "heard_over_http", sentAtMs });
      next(true, this.#toNextBeatMs(sentAtMs));
    });
  }

  /** What the control plane makes of a heartbeat, once its turn comes. */
  #judge(way: "socket" | "http", sentAtMs: number) {
    const isFirst = this.#isFirst();
    if (tooLateText(sentAtMs, this.#control.world.nowMs) !== null) {
      const work: Work = way === "http" ? "lateHttpBeat" : "lateSocketBeat";
      return { work, isFirst: false, answer: "refused" as const };
    }
    this.#httpBeats = way === "socket" || !isThere(this.state) ? 0 : this.#httpBeats + 1;
    if (this.#httpBeats === HTTP_BEATS_MAX) this.#end();
    const work: Work = way === "http" ? "httpBeat" : "socketBeat";
    return { work, isFirst, answer: "taken" as const };
  }

  #again(sentAtMs: number): number {
    const soonMs = LIMITS.heartbeatMs / TRIES_PER_BEAT;
    return this.#failures < QUICK_TRIES_MAX ? soonMs : Math.max(soonMs, this.#toNextBeatMs(sentAtMs));
  }

  #toNextBeatMs(sentAtMs: number): number {
    const { world } = this.#control;
    const jitterMs = (world.random() * 2 - 1) * LIMITS.heartbeatJitterMs;
    return Math.max(0, LIMITS.heartbeatMs + jitterMs - (world.nowMs - sentAtMs));
  }

  #poll(): void {
    if (isThere(this.state)) return;
    const turn = this.#pollTurn;
    const { world } = this.#control;
    const again = (waitMs: number) => world.after(waitMs, () => turn === this.#pollTurn && this.#poll());
    this.#ask("poll", (answer) => {
      if (answer === "gone") {
        this.#pollFailures += 1;
        const mostMs = Math.min(LIMITS.pollBackoffMaxMs, LIMITS.pollBackoffMinMs * 2 ** this.#pollFailures);
        return again(LIMITS.pollBackoffMinMs + world.random() * (mostMs - LIMITS.pollBackoffMinMs));
      }
      this.#pollFailures = 0;
      this.#wakeable();
      world.after(25_000, () => turn === this.#pollTurn && this.#ask("pollEnd", () => again(0)));
    });
  }
}
