// Asking before something that cannot be taken back.
import { confirm, isCancel } from "@clack/prompts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** what: `removes ann@example.com from the team`. Without a terminal it says that --yes is missing. */
export async function confirmed(context: Context, yes: true | undefined, what: string): Promise<void> {
  if (yes === true) return;
  if (!context.interactive) throw new CommandFailure(`This ${what}: give --yes`, EXIT.usage);
  const answer = await confirm({ message: `This ${what}. Go on?`, initialValue: false });
  if (isCancel(answer) || !answer) throw new CommandFailure("Nothing was changed", EXIT.detached);
}
