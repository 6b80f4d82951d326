// images policy show|set|clear: which images the team may run, and for operators which anybody may.
import { Command, Option } from "@commander-js/extra-typings";
import {
  ImagePolicies,
  InstallationImagePolicy,
  type Scanner,
  type TeamImagePolicy,
} from "../../contracts/image-policy.ts";
import type { Context } from "../context.ts";
import { duration, shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

const OF_TEAM = "/v1/image-policy";
const OF_INSTALLATION = "/v1/installation/image-policy";
const installationOption = () => new Option("--installation", "for every team (operators)");
const repeated = (value: string, before: string[]): string[] => [...before, value];

export function imagesCommand() {
  const policy = new Command("policy").description("which images may run");
  policy
    .command("show", { isDefault: true })
    .description("the team's policy and the installation's: both hold")
    .addOption(installationOption())
    .action(async ({ installation }, command) => {
      const context = contextOf(command);
      if (installation) {
        printInstallation(context, await context.api.call(InstallationImagePolicy, "GET", OF_INSTALLATION));
      } else printTeam(context, await context.api.call(ImagePolicies, "GET", OF_TEAM));
    });
  policy
    .command("set")
    .description("replaces what was set before; holds from the next release on")
    .addOption(installationOption())
    .option("--registry <name>", "allow images from it alone: ghcr.io or ghcr.io/acme; may be repeated", repeated, [])
    .option("--require-digest", "take only images that are named with their digest")
    .option("--no-bundles", "take no uploaded folders")
    .option("--scanner <url>", "ask it before each release of an image (with --installation)")
    .option("--scanner-timeout <time>", "how long it has, such as 10s", duration)
    .addOption(
      new Option("--if-away <what>", "what becomes of releases while it does not answer").choices([
        "refuse",
        "accept",
      ] as const),
    )
    .action(async ({ installation, registry, requireDigest = false, bundles, ...scan }, command) => {
      const context = contextOf(command);
      // It would allow everything, which has a word of its own.
      if (registry.length === 0 && !requireDigest && bundles && Object.keys(scan).length === 0)
        throw new CommandFailure("No rule to set", EXIT.usage, "Give one: `berth images policy set --help`. `berth images policy clear` allows every image."); // prettier-ignore
      const rules = { ...(registry.length === 0 ? {} : { registries: registry }), requireDigest, bundles };
      const scanner = scannerOf(scan);
      if (scanner !== null && !installation)
        throw new CommandFailure("The scanner is the installation's", EXIT.usage, "An operator sets it: add --installation."); // prettier-ignore
      const body = { ...rules, ...(scanner === null ? {} : { scanner }) };
      await put(context, installation === true, body);
    });
  policy
    .command("clear")
    .description("allow every image again, as far as the policy beside it does")
    .addOption(installationOption())
    .action(async ({ installation }, command) => put(contextOf(command), installation === true, {}));
  return new Command("images").description("which images may run").addCommand(policy as unknown as Command);
}

interface Scan {
  readonly scanner?: string | undefined;
  readonly scannerTimeout?: number | undefined;
  readonly ifAway?: Scanner["ifAway"] | undefined;
}

function scannerOf({ scanner: url, scannerTimeout: timeoutMs, ifAway }: Scan): object | null {
  const how = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(ifAway === undefined ? {} : { ifAway }) };
  if (url !== undefined) return { url, ...how };
  if (Object.keys(how).length === 0) return null;
  throw new CommandFailure("--scanner-timeout and --if-away are about a scanner: add --scanner <url>", EXIT.usage);
}

async function put(context: Context, installation: boolean, body: object): Promise<void> {
  if (installation) {
    printInstallation(context, await context.api.call(InstallationImagePolicy, "PUT", OF_INSTALLATION, body));
  } else printTeam(context, await context.api.call(ImagePolicies, "PUT", OF_TEAM, body));
}

function printTeam(context: Context, policies: ImagePolicies): void {
  context.out.result(policies, () => {
    for (const [whose, policy] of [
      ["team", policies.team.policy] as const,
      ["installation", policies.installation] as const,
    ]) {
      // prettier-ignore
      context.out.line(`The ${whose}'s: ${sentence(policy)}`);
    }
  });
}

function printInstallation(context: Context, set: InstallationImagePolicy): void {
  context.out.result(set, () => {
    context.out.line(`The installation's: ${sentence(set.policy)}`);
    if (set.policy.scanner !== undefined) context.out.line(`Scanner: ${set.policy.scanner.url}`);
  });
}

function sentence(policy: TeamImagePolicy & { readonly scanner?: Omit<Scanner, "url"> | undefined }): string {
  const { registries, requireDigest, bundles, scanner } = policy;
  const parts = [
    registries === undefined ? "images from any registry" : `images from ${registries.join(", ")} only`,
    ...(requireDigest ? ["each named with its digest"] : []),
    bundles ? "uploaded folders too" : "no uploaded folders",
    ...(scanner === undefined ? [] : [`each looked at by a scanner within ${shownMs(scanner.timeoutMs)}, without whose word it is ${scanner.ifAway === "refuse" ? "refused" : "accepted"}`]), // prettier-ignore
  ];
  return `${parts.join("; ")}.`;
}
