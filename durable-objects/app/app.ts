// The App object, named by the app's id: the shell around core/app. Each method is one event; the step decides everything.
import { DurableObject } from "cloudflare:workers";
import type { AppEvent, AppInputs, AppMethod, AppReplies, AppTables, AppVolatile } from "../../core/app/types.ts";
import type { AppEffect } from "../../core/app/types.ts";
import { APP_TABLE_NAMES } from "../../core/app/types.ts";
import { unknownKinds } from "../../core/app/deliver.ts";
import { stepApp } from "../../core/app/step.ts";
import { emptyAppVolatile } from "../../core/app/volatile.ts";
import { limitsFrom } from "../../core/limits.ts";
import type { CopyRow } from "../../core/restore/types.ts";
import type { ObjectEnv } from "../env.ts";
import type { AppRpc } from "../rpc.ts";
import { restoredApp } from "../../core/restore/app.ts";
import { answer } from "../shared/answer.ts";
import { closeSocket, refuseUnlessUpgrade, sendOrClose, Sockets } from "../shared/sockets.ts";
import { StateCopy } from "../shared/state-copy.ts";
import { StepRunner } from "../shared/step-runner.ts";
import { runAppEffect } from "./effects.ts";

/** The tag of the sockets that hear of new events. */
const EVENTS = "events";

type Input<Method extends keyof AppRpc> = Parameters<AppRpc[Method]>[0];

export class App extends DurableObject<ObjectEnv> implements AppRpc {
  readonly #runner: StepRunner<AppTables, AppVolatile, AppEvent, AppEffect>;
  readonly #copy: StateCopy;
  readonly #waitMs: number;
  readonly #sockets: Sockets;
  readonly #eventSocketsMax: number;

  constructor(state: DurableObjectState, env: ObjectEnv) {
    super(state, env);
    const limits = limitsFrom(env.TUNING);
    this.#eventSocketsMax = limits.eventSocketsMax;
    this.#waitMs = limits.restoreWaitMs;
    this.#copy = new StateCopy(state.storage);
    this.#sockets = new Sockets(state);
    this.#runner = new StepRunner<AppTables, AppVolatile, AppEvent, AppEffect>({
      state,
      tables: APP_TABLE_NAMES,
      emptyVolatile: emptyAppVolatile,
      step: (durable, volatile, event, at) => stepApp(durable, volatile, event, at, limits),
      run: (effect) =>
        runAppEffect(effect, {
          state,
          env,
          notify: (lastSeq) => this.#sockets.broadcast(EVENTS, JSON.stringify({ lastSeq })),
        }),
    });
  }

  async create(input: Input<"create">) {
    return this.#step("create", input);
  }
  async read(input: Input<"read">) {
    return this.#step("read", input);
  }
  async acceptRelease(input: Input<"acceptRelease">) {
    return this.#step("acceptRelease", input);
  }
  async rollback(input: Input<"rollback">) {
    return this.#step("rollback", input);
  }
  async scale(input: Input<"scale">) {
    return this.#step("scale", input);
  }
  async restart(input: Input<"restart">) {
    return this.#step("restart", input);
  }
  async changeEnvironment(input: Input<"changeEnvironment">) {
    return this.#step("changeEnvironment", input);
  }
  async controlRollout(input: Input<"controlRollout">) {
    return this.#step("controlRollout", input);
  }
  async setTraffic(input: Input<"setTraffic">) {
    return this.#step("setTraffic", input);
  }
  async setMaintenance(input: Input<"setMaintenance">) {
    return this.#step("setMaintenance", input);
  }
  async destroy(input: Input<"destroy">) {
    return this.#step("destroy", input);
  }
  async listReleases(input: Input<"listReleases">) {
    return this.#step("listReleases", input);
  }
  async readRollout(input: Input<"readRollout">) {
    return this.#step("readRollout", input);
  }
  async listRollouts(input: Input<"listRollouts">) {
    return this.#step("listRollouts", input);
  }
  async listInstances(input: Input<"listInstances">) {
    return this.#step("listInstances", input);
  }
  async route() {
    return this.#step("route", {});
  }
  async listEvents(input: Input<"listEvents">) {
    return this.#step("listEvents", input);
  }
  async environment(input: Input<"environment">) {
    return this.#step("environment", input);
  }
  async readSealed(input: Input<"readSealed">) {
    return this.#step("readSealed", input);
  }
  async readDraft(input: Input<"readDraft">) {
    return this.#step("readDraft", input);
  }
  async rewrap(input: Input<"rewrap">) {
    return this.#step("rewrap", input);
  }
  async verified(input: Input<"verified">) {
    return this.#step("verified", input);
  }
  async reportUnreachable(input: Input<"reportUnreachable">) {
    return this.#step("reportUnreachable", input);
  }
  async holding(input: Input<"holding">) {
    return this.#step("holding", input);
  }
  async poke() {
    return this.#step("poke", {});
  }

  /** Only for the operator's backup. */
  async dump(input: Input<"dump">) {
    return answer("App.dump", () => this.#copy.dump(input));
  }
  async load(input: Input<"load">) {
    const skip = { eventSeq: input.eventSeq, nowMs: Date.now(), waitMs: this.#waitMs };
    const turn = (rows: readonly CopyRow[]) => restoredApp(rows, skip);
    return answer("App.load", () => this.#copy.load(input, turn, () => this.#runner.startAnew()));
  }

  /** Lossy: whoever gets no answer tells more the next time. */
  async counted(input: Input<"counted">) {
    return this.#runner.dispatch({ kind: "counted", input }) as AppReplies["counted"];
  }

  /** Not a Result: a Cell takes an exception as "not delivered" and sends the same rows again. */
  async deliver(input: Input<"deliver">) {
    const kinds = unknownKinds(input.messages);
    if (kinds.length > 0) console.warn(JSON.stringify({ app: this.ctx.id.name, cell: input.cell, ignored: kinds }));
    return this.#runner.dispatch({ kind: "deliver", input }) as AppReplies["deliver"];
  }

  /** `/events`: a socket that hears `{"lastSeq": n}` now and whenever there are more events. Its reader asks listEvents. */
  override fetch(request: Request): Response {
    const refused = refuseUnlessUpgrade(request, "/events");
    if (refused !== null) return refused;
    this.#runner.ensureArmed();
    const { durable } = this.#runner;
    if (!durable.app.has("app")) return new Response(null, { status: 404 });
    if (this.#sockets.count(EVENTS) >= this.#eventSocketsMax) {
      return new Response(null, { status: 503, headers: { "retry-after": "5" } });
    }
    const { server, response } = this.#sockets.accept(EVENTS);
    sendOrClose(server, JSON.stringify({ lastSeq: durable.counters.get("counters")?.eventSeq ?? 0 }));
    return response;
  }

  override alarm(): void {
    this.#runner.alarm({ kind: "tick" });
  }

  /** Readers have nothing to say; pings are answered without waking the object. */
  override webSocketMessage(): void {}

  override webSocketClose(socket: WebSocket): void {
    closeSocket(socket, 1000, "closed");
  }

  #step<Method extends AppMethod>(kind: Method, input: AppInputs[Method]) {
    return answer(`App.${kind}`, () => this.#runner.dispatch({ kind, input } as AppEvent) as AppReplies[Method]);
  }
}
