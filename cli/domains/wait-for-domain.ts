// Looks at a domain's records again and again until they are right; says what is missing whenever that changes.
import { setTimeout as sleep } from "node:timers/promises";
import type { Domain } from "../../contracts/domains.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** Each look is answered by the resolver's cache for as long as the record before lives: oftener helps nobody. */
const EVERY_MS = 5_000;

export async function waitForDomain(context: Context, look: () => Promise<Domain>, waitMs: number): Promise<Domain> {
  const untilMs = performance.now() + waitMs;
  let told = "";
  for (;;) {
    const domain = await look();
    if (domain.status === "active") return domain;
    const missing = domain.instructions.filter(({ ok }) => !ok).map(({ text }) => text);
    const now = [domain.message, ...missing].join("\n  ");
    if (now !== told) context.out.note(now);
    told = now;
    if (performance.now() + EVERY_MS > untilMs)
      throw new CommandFailure(`${domain.hostname} is not active yet: ${domain.message}`, EXIT.unfinished);
    await sleep(EVERY_MS);
  }
}
