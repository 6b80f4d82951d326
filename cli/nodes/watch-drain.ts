// A drain as it happens: what has moved, what is left and why, until the node is empty, the time is up, or Ctrl-C.
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { Node } from "../../contracts/api.ts";
import type { NodeDrain } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** The node is asked this often: a person does not see faster, and a drain takes a minute or more. */
const ASK_MS = 500;

type Held = NodeDrain["holding"][number];
export const shownHolding = (held: Held): string =>
  `${held.appName} v${held.version} (${held.instance}): ${held.reason}`;

/**
 * Resolves with the node once it is drained. Fails when the drain was called off (exit 1) or the time is up (exit 6: it goes
 * on). Ctrl-C detaches (exit 130): it goes on without a watcher.
 */
export async function watchDrain(context: Context, begun: Node, timeoutMs: number): Promise<Node> {
  const { name } = begun;
  const resume = `\`berth nodes drain ${name}\` watches it again, \`berth nodes uncordon ${name}\` calls it off.`;
  const onInterrupt = (): void => {
    context.out.note(`\nDetached. The drain of ${name} goes on: ${resume}`);
    process.exit(EXIT.detached);
  };
  process.once("SIGINT", onInterrupt);
  // Said only now: from here on Ctrl-C detaches.
  context.out.line(`${pc.cyan("→")} draining ${name}`);
  const untilMs = Date.now() + timeoutMs;
  const tell = teller(context);
  try {
    for (let node = begun; ; node = await read(context, begun)) {
      if (node.drain === null) {
        throw new CommandFailure(`The drain of ${name} was called off; what has not moved stays there`, EXIT.failed);
      }
      tell(node.drain);
      if (node.drain.state === "drained") return node;
      if (Date.now() >= untilMs) throw heldFailure(node, node.drain, timeoutMs, resume);
      await sleep(Math.min(ASK_MS, Math.max(1, untilMs - Date.now())));
    }
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

const read = (context: Context, node: Node): Promise<Node> => context.api.call(Node, "GET", `/v1/nodes/${node.id}`);

/** A line when the count changes, and one for each new reason of an instance. */
function teller({ out }: Context): (drain: NodeDrain) => void {
  let counts = "";
  let reasons = new Map<string, string>();
  return (drain) => {
    const now = `${drain.moved} moved, ${drain.remaining} to go`;
    if (now !== counts) out.line(`  ${pc.cyan("→")} ${now}`);
    counts = now;
    for (const held of drain.holding) {
      if (reasons.get(held.instance) !== held.reason) out.line(`  ${pc.dim("·")} ${shownHolding(held)}`);
    }
    reasons = new Map(drain.holding.map((held) => [held.instance, held.reason]));
  };
}

function heldFailure(node: Node, drain: NodeDrain, timeoutMs: number, resume: string): CommandFailure {
  const held = drain.holding.map((each) => `\n  ${shownHolding(each)}`).join("");
  const what = held === "" ? " Nothing has said yet what holds it." : ` What holds it:${held}`;
  return new CommandFailure(
    `${node.name} is not drained after ${shownMs(timeoutMs)}: ${drain.moved} moved, ${drain.remaining} to go.${what}`,
    EXIT.unfinished,
    `It goes on: ${resume}`,
  );
}
