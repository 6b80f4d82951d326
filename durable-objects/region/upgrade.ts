// The Region's part in agent upgrades: the shell around core/upgrade, which tells Cells and hands over to the next region.
import type { AgentUpgrade } from "../../contracts/agent-release.ts";
import type { Result } from "../../contracts/failures.ts";
import type { CellName } from "../../contracts/ids.ts";
import type { Limits } from "../../core/limits.ts";
import { assertNever } from "../../core/step.ts";
import { stepUpgrade } from "../../core/upgrade/step.ts";
import {
  type ChangeUpgrade,
  emptyUpgradeVolatile,
  type StartUpgrade,
  UPGRADE_TABLE_NAMES,
  type UpgradeEffect,
  type UpgradeEvent,
  type UpgradeOutcome,
  type UpgradeTables,
  type UpgradeVolatile,
} from "../../core/upgrade/types.ts";
import type { ObjectEnv } from "../env.ts";
import { answer } from "../shared/answer.ts";
import { callObject } from "../shared/call.ts";
import { drainOutbox } from "../shared/outbox.ts";
import { StepRunner } from "../shared/step-runner.ts";

export class RegionUpgrade {
  readonly #runner: StepRunner<UpgradeTables, UpgradeVolatile, UpgradeEvent, UpgradeEffect>;

  constructor(state: DurableObjectState, env: ObjectEnv, limits: Limits) {
    this.#runner = new StepRunner<UpgradeTables, UpgradeVolatile, UpgradeEvent, UpgradeEffect>({
      state,
      tables: UPGRADE_TABLE_NAMES,
      emptyVolatile: emptyUpgradeVolatile,
      step: (durable, volatile, event, at) => stepUpgrade(durable, volatile, event, at, limits),
      run: (effect) => runUpgradeEffect(effect, state, env),
    });
  }

  start(input: StartUpgrade, cells: readonly CellName[]) {
    return this.#step("startUpgrade", { kind: "start", input, cells }) as Result<AgentUpgrade>;
  }
  change(input: ChangeUpgrade) {
    return this.#step("changeUpgrade", { kind: "change", input }) as Result<AgentUpgrade>;
  }
  read() {
    return this.#step("readUpgrade", { kind: "read" }) as Result<AgentUpgrade | null>;
  }
  poke() {
    return this.#step("poke", { kind: "poke" }) as Result<{ nextAtMs: number | null }>;
  }
  startAnew(): void {
    this.#runner.startAnew();
  }
  alarm(): void {
    this.#runner.alarm({ kind: "tick" });
  }

  #step(method: string, event: UpgradeEvent): unknown {
    return answer<unknown>(`Region.${method}`, () => this.#runner.dispatch(event));
  }
}

async function runUpgradeEffect(
  effect: UpgradeEffect,
  state: DurableObjectState,
  env: ObjectEnv,
): Promise<UpgradeOutcome> {
  switch (effect.kind) {
    case "tell_cell": {
      const { cell, request } = effect;
      const outcome = await callObject(() => env.CELL.getByName(cell).upgrade(request));
      if (outcome.kind === "unanswered") return { kind: "cell_silent", cell, message: outcome.message };
      const { value } = outcome;
      if (!value.ok) return { kind: "cell_silent", cell, message: value.failure.message };
      return { kind: "cell_told", cell, view: value.value };
    }
    case "hand_over": {
      const { input } = effect;
      const outcome = await callObject(() => env.REGION.getByName(input.region).startUpgrade(input));
      // Unanswered: the row still asks for it, and it is tried again.
      if (outcome.kind === "unanswered") return { kind: "tick" };
      const { value } = outcome;
      return { kind: "handed_over", attempt: input.attempt, refusal: value.ok ? null : value.failure.message };
    }
    case "drain_outbox":
      return drainOutbox(state, effect);
    default:
      return assertNever(effect);
  }
}
