// First-day scenarios 11 and 12 in virtual time: an agent, the control plane or Postgres is away for a whole hour.
import type { Cluster } from "./cluster.ts";
import type { World } from "./world.ts";

export type AwayForAnHour = "an agent" | "the control plane" | "Postgres";

const BEGINS_MS = 60_000;
const HOUR_MS = 3_600_000;

export function awayForAnHour(world: World, cluster: Cluster, who: AwayForAnHour): void {
  world.after(BEGINS_MS, () => {
    world.note(`${who} is away for an hour`);
    world.happened(`${who} away for an hour`);
    if (who === "Postgres") {
      cluster.postgres.isUp = false;
      world.after(HOUR_MS, () => (cluster.postgres.isUp = true));
      return;
    }
    const machines = [...cluster.machines.values()].map(({ name }) => name);
    const cut = who === "an agent" ? machines.slice(0, 1) : machines;
    const ways = cut.flatMap((name) => [[name, "control"] as const, ["control", name] as const]);
    cluster.network.cutFor(HOUR_MS, ways);
  });
}
