// The simulated nodes as the benchmark holds them: processes of their own, started, asked for reports, and stopped.
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FleetWish, FromFleet, ToFleet } from "./fleet-messages.ts";
import type { Returned } from "./homecoming.ts";
import type { Counts } from "./counts.ts";
import type { Upgraded } from "./sim-upgrade.ts";

export interface FleetReport extends Counts {
  readonly cpuMs: number;
  readonly loopDelayP99Ms: number;
}

export interface Fleet {
  readonly cells: readonly string[];
  readonly enrolMs: number;
  /** What happened since the last report. */
  report(): Promise<FleetReport>;
  /** The control plane answers again, since this moment of the host's clock. */
  isBack(sinceMs: number): void;
  /** How each node has come back since then. */
  returned(): Promise<readonly Returned[]>;
  /** What has become of each agent's upgrades. */
  upgrades(): Promise<readonly Upgraded[]>;
  keep(nodes: number): void;
  stop(): Promise<void>;
}

export async function startFleet(wish: FleetWish): Promise<Fleet> {
  const script = fileURLToPath(new URL("./fleet-process.ts", import.meta.url));
  const child = fork(script, [JSON.stringify(wish)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const enrolled = await messageOf(child, "enrolled");
  return {
    cells: enrolled.cells,
    enrolMs: enrolled.tookMs,
    async report() {
      const answer = messageOf(child, "report");
      tell(child, { kind: "report" });
      const { counts, cpuMs, loopDelayP99Ms } = await answer;
      return { ...counts, cpuMs, loopDelayP99Ms };
    },
    isBack: (sinceMs) => tell(child, { kind: "back", sinceMs }),
    async returned() {
      const answer = messageOf(child, "returned");
      tell(child, { kind: "returned" });
      return (await answer).agents;
    },
    async upgrades() {
      const answer = messageOf(child, "upgrades");
      tell(child, { kind: "upgrades" });
      return (await answer).agents;
    },
    keep: (nodes) => tell(child, { kind: "keep", nodes }),
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null) return resolve();
        child.once("exit", () => resolve());
        tell(child, { kind: "stop" });
      }),
  };
}

function tell(child: ChildProcess, message: ToFleet): void {
  child.send(message);
}

function messageOf<Kind extends FromFleet["kind"]>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<FromFleet, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    const onExit = (code: number | null) => {
      settle();
      reject(new Error(`the fleet's process ended with ${code} before it said ${kind}`));
    };
    const onMessage = (message: FromFleet) => {
      if (message.kind !== kind) return;
      settle();
      resolve(message as Extract<FromFleet, { kind: Kind }>);
    };
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
