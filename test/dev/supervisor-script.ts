// A supervisor for tests to kill: `node supervisor-script.ts <state folder> <stack id>`. Prints its children's pids as JSON.
import { spawn } from "node:child_process";
import { Ledger } from "../../dev/process/ledger.ts";
import { SupervisedChild } from "../../dev/stack/child.ts";

const [stateDir = "", stackId = ""] = process.argv.slice(2);
const ledger = new Ledger(stateDir);
const sleeper = (role: string, args: readonly string[]) =>
  new SupervisedChild(
    {
      role,
      start: (environment) =>
        spawn("sh", ["-c", "sleep 600", ...args], {
          detached: true,
          stdio: "ignore",
          env: { ...process.env, ...environment },
        }),
      untilReady: async () => {},
      stopSignal: "SIGTERM",
      ownsGroup: false,
    },
    { ledger, stackId, log: () => {} },
  );
const children = {
  control: sleeper("control", []),
  agent: sleeper("agent:node-1", ["run"]),
  gateway: sleeper("agent:node-2", ["gateway"]),
};
for (const child of Object.values(children)) await child.start();
// The gateway stands for what an agent started: marked, but in no ledger.
ledger.forget("agent:node-2");
console.log(
  JSON.stringify({ control: children.control.pid, agent: children.agent.pid, gateway: children.gateway.pid }),
);
setInterval(() => {}, 1_000);
