// 11: while a canary or a green is tried, what serves stays whole: nothing of it that is well is taken away.
import type { InstanceId } from "../../../contracts/ids.ts";
import type { InstanceRow } from "../../../core/app/types.ts";
import { planOf, type RolloutRow } from "../../../core/rollout/types.ts";
import type { AppHost } from "../cluster.ts";
import type { Fault } from "./checks.ts";

export class OldOnes {
  private before: { readonly rollout: string | null; readonly well: ReadonlySet<InstanceId> } = NOTHING;
  private readonly host: AppHost;
  private readonly fault: Fault;

  constructor(host: AppHost, fault: Fault) {
    this.host = host;
    this.fault = fault;
  }

  look(): void {
    const { tables } = this.host;
    const { rollout } = tables.app.get("app")!;
    const row = rollout ? tables.rollouts.get(rollout) : undefined;
    const { before } = this;
    if (!row || !isGradual(row)) return void (this.before = NOTHING);
    const sizes = new Map(
      [row.from!, ...(row.fromAside ?? []).map(({ target }) => target)].map(({ cohort, replicas }) => [
        cohort,
        replicas,
      ]),
    );
    const well = new Set<InstanceId>();
    const slots = new Set<string>();
    for (const instance of tables.instances.values()) {
      if (instance.ordinal >= (sizes.get(instance.cohort) ?? 0) || !isWell(instance)) continue;
      well.add(instance.id);
      slots.add(slotOf(instance));
    }
    this.before = { rollout, well };
    if (before.rollout !== rollout) return;
    for (const id of before.well) {
      const instance = tables.instances.get(id);
      if (!instance || well.has(id) || slots.has(slotOf(instance))) continue;
      if (instance.ordinal >= (sizes.get(instance.cohort) ?? 0) || !wasTaken(instance)) continue;
      this.fault(
        `11: ${id} of v${instance.version} was taken away by ${this.host.lastEvent} while v${row.to.version} is tried`,
      );
    }
  }
}

const NOTHING = { rollout: null, well: new Set<InstanceId>() };
const slotOf = ({ cohort, ordinal }: InstanceRow): string => `${cohort}/${ordinal}`;
const isWell = ({ phase, nodeGone, observed }: InstanceRow): boolean =>
  phase.kind === "running" && !nodeGone && observed?.kind === "ready";
/** It is not its own, or its node's, fault. */
const wasTaken = ({ phase, nodeGone, gone, observed, leaving }: InstanceRow): boolean =>
  phase.kind !== "running" && !nodeGone && !gone && !leaving && observed?.kind === "ready";

function isGradual(row: RolloutRow): boolean {
  const { kind } = planOf(row).strategy;
  return row.from !== null && row.reason !== "traffic" && (kind === "canary" || kind === "blue_green");
}
