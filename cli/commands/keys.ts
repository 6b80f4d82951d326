// keys ls|rotate|retire: the platform's own keys, for its operators.
import { Argument, Command } from "@commander-js/extra-typings";
import { KEY_KINDS, type PlatformKey } from "../../contracts/keys.ts";
import { duration } from "../duration.ts";
import { placeOf } from "../keys/places.ts";
import { readKeys, retireKeyVersion, rotateKey } from "../keys/rotate.ts";
import { ago } from "../output.ts";
import { contextOf } from "./run.ts";

const TEN_MINUTES_MS = 600_000;
const kind = new Argument("<kind>", "what it is for").choices(KEY_KINDS);

export function keysCommand() {
  const keys = new Command("keys").description("the platform's keys: versions, age, rotation");
  keys
    .command("ls")
    .description("every version of every key; never a key")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const found = await readKeys(context);
      context.out.result(found, () => {
        context.out.table(["KIND", "VERSION", "STATE", "SINCE", ""], found.items.map(rowOf));
        for (const [which, nodes] of Object.entries(found.waitingFor))
          if (nodes.length > 0)
            context.out.line(`Without the newest ${which} key yet: ${nodes.map(({ name }) => name).join(", ")}`);
        const { sweep } = found;
        if (sweep !== null && sweep.endedAtMs === null)
          context.out.line(`Being wrapped under ${sweep.version}: ${sweep.stage}, ${sweep.seen} values looked at`);
      });
    });
  placed(keys.command("rotate"))
    .description("make a new version, spread it, use it; kek also wraps all that is stored anew")
    .addArgument(kind)
    .option("--recipient <age1…>", "of backup: for whom backups wrap the other keys")
    .option("--to <version>", "of kek: one that the Worker was given already")
    .option("--force", "use it although somebody may not have heard of it")
    .option("--timeout <time>", "wait so long for a step", duration, TEN_MINUTES_MS)
    .action(async (which, options, command) => {
      const context = contextOf(command);
      const { to: version, recipient, timeout: timeoutMs } = options;
      const place = which === "kek" ? await placeOf(context, options) : null;
      await rotateKey(context, { kind: which, version, recipient, force: options.force === true, timeoutMs, place });
    });
  placed(keys.command("retire"))
    .description("believe an old version no more, once nothing needs it")
    .addArgument(kind)
    .argument("<version>")
    .option("--force", "also while something needs it")
    .action(async (which, version, options, command) => {
      const context = contextOf(command);
      const place = which === "kek" ? await placeOf(context, options) : null;
      await retireKeyVersion(context, { kind: which, version, force: options.force === true, place });
    });
  return keys;
}

/** Of kek: where the Worker is given its secrets. */
const placed = <Args extends unknown[]>(command: Command<Args>) =>
  command
    .option("--domain <name>", "of kek, on Cloudflare: the platform's domain (CLOUDFLARE_API_TOKEN is needed)")
    .option("--name <name>", "of kek, on Cloudflare: the platform's name", "berth")
    .option("--account <id>", "of kek, on Cloudflare: the account")
    .option("--self-hosted <folder>", "of kek: the self-hosted platform's folder")
    .option("--local <folder>", "of kek: the folder that `npm start` keeps");

function rowOf({ kind: which, version, state, isOld, ...at }: PlatformKey): string[] {
  const sinceMs = {
    prepared: at.createdAtMs,
    current: at.activatedAtMs,
    replaced: at.replacedAtMs,
    retired: at.retiredAtMs,
  };
  const since = sinceMs[state] ?? at.createdAtMs;
  const note = isOld ? `too old: berth keys rotate ${which}` : "";
  return [which, version, state, ago(since, Date.now()), note];
}
