// sessions: where one is signed in, and ending that.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { OpenSessions, SessionsEnded, type OpenSession } from "../../contracts/account.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

export function sessionsCommand() {
  const sessions = new Command("sessions").description("where you are signed in").action(async (_options, command) => {
    const context = contextOf(command);
    const open = await context.api.call(OpenSessions, "GET", "/v1/account/sessions");
    context.out.result(open, () => context.out.table(["SESSION", "SINCE", "FROM", "CLIENT", ""], open.items.map(row)));
  });
  sessions
    .command("end")
    .description("end one session, or --all others; each opens nothing from then on")
    .argument("[session]", "its id, as `berth sessions` shows it")
    .option("--all", "every session but this one")
    .option("--everywhere", "every session, this one too")
    .action(async (session, options, command) => {
      const context = contextOf(command);
      const isMany = options.all === true || options.everywhere === true;
      if ((session !== undefined) === isMany)
        throw new CommandFailure(
          "Which session?",
          EXIT.usage,
          "Give an id of `berth sessions`, --all or --everywhere.",
        );
      if (session !== undefined) {
        await context.api.call(z.null(), "DELETE", `/v1/account/sessions/${encodeURIComponent(session)}`);
        return context.out.result({ ended: 1 }, () => context.out.line(`Ended ${session}.`));
      }
      const keep = options.everywhere ? "none" : "current";
      const answer = await context.api.call(SessionsEnded, "DELETE", `/v1/account/sessions?keep=${keep}`);
      context.out.result(answer, () => context.out.line(`Ended ${answer.ended}.`));
    });
  return sessions;
}

const row = ({ id, createdAtMs, address, userAgent, secondFactor, current }: OpenSession): string[] => [
  id,
  new Date(createdAtMs).toISOString().slice(0, 16).replace("T", " "),
  address ?? "?",
  (userAgent ?? "?").slice(0, 40),
  [current ? "this one" : "", secondFactor ? "with a code" : ""].filter(Boolean).join(", "),
];
