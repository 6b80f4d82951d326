// setup: from a Cloudflare account and a Postgres to a working control plane, and back.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { CommandFailure, EXIT } from "../failure.ts";
import { wholeNumber } from "../whole-number.ts";
import { contextOf } from "./run.ts";

export function setupCommand() {
  return new Command("setup")
    .description("set up a platform on Cloudflare and Postgres; the same command again resumes, mends or upgrades it")
    .requiredOption("--domain <name>", "apps get hostnames below it, such as apps.example.com", domainName)
    .option("--plan", "print the steps and what it costs a month; touch nothing")
    .option("--yes", "do not ask")
    .option("--nodes <count>", "for the cost: how many servers", wholeNumber, 3)
    .option("--requests <count>", "for the cost: visitors' requests a month", wholeNumber, 10_000_000)
    .option("--api-host <name>", "the API's own hostname (default: berth.<zone>)", domainName)
    .option("--region <name>", "the first region (default: main)", label)
    .option("--name <name>", "tells several platforms of one account apart", label, "berth")
    .option("--account <id>", "refuse if the zone is not on this Cloudflare account")
    .option("--email <email>", "make the first operator, and sign in as it")
    .option("--password-stdin", "read its password from standard input")
    .option("--destroy", "remove the platform; asks for the domain's name")
    .option("--confirm <domain>", "with --destroy: its answer")
    .option("--self-hosted <folder>", "without Cloudflare: write what systemd runs on this machine into a folder")
    .option("--s3-endpoint <url>", "with --self-hosted: the S3-compatible store for bundles")
    .option("--s3-bucket <name>", "with --self-hosted: its bucket (default: berth-bundles)")
    .option("--s3-region <name>", "with --self-hosted: its region (default: us-east-1)")
    .option("--port <port>", "with --self-hosted: the first of four ports on 127.0.0.1 (default: 8787)", wholeNumber)
    .option("--drop-data", "with --destroy: Berth's tables in Postgres too")
    .addHelpText("after", ENVIRONMENT_TEXT)
    .action(async (options, command) => {
      const context = contextOf(command);
      const { api: apiUrl } = command.optsWithGlobals() as { api?: string };
      const { domain, name, apiHost, region, account, nodes, requests, email, confirm } = options;
      const [plan, yes, dropData] = [options.plan === true, options.yes === true, options.dropData === true];
      if (!options.destroy && (dropData || confirm !== undefined))
        throw new CommandFailure("--drop-data and --confirm belong to --destroy", EXIT.usage);
      if (options.selfHosted !== undefined) {
        const { s3Endpoint, s3Bucket, s3Region, port, selfHosted: folder } = options;
        refuseBeside("--self-hosted", { "--destroy": options.destroy, "--account": account });
        const { runSelfHosted } = await import("../setup/self-hosted/run.ts");
        const store = { s3Endpoint, s3Bucket, s3Region };
        const passwordStdin = options.passwordStdin === true;
        const settings = { domain, apiHost, region, port, ...store };
        return runSelfHosted(context, { ...settings, folder, plan, yes, email, passwordStdin, apiUrl });
      }
      const choices = { domain, name, apiHost, region, account, plan };
      // Loaded here: no other command needs a database driver.
      if (options.destroy) {
        const { runDestroy } = await import("../setup/destroy.ts");
        return runDestroy(context, { ...choices, dropData, confirm });
      }
      const { runSetup } = await import("../setup/run.ts");
      const passwordStdin = options.passwordStdin === true;
      return runSetup(context, { ...choices, nodes, requests, yes, email, passwordStdin, apiUrl });
    });
}

function refuseBeside(option: string, others: Readonly<Record<string, unknown>>): void {
  const [given] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (given !== undefined) throw new CommandFailure(`${given} does not go with ${option}`, EXIT.usage);
}

const ENVIRONMENT_TEXT = `
Secrets come from the environment, or are asked for:
  CLOUDFLARE_API_TOKEN     a token with the permissions that docs/OPERATING.md lists
  BERTH_ADMIN_URL          the direct Postgres URL of the database's owner
  CLOUDFLARE_WORKER_TOKEN  optional, for the running control plane: Zone DNS Edit, Zone SSL and Certificates Edit
With --self-hosted BERTH_ADMIN_URL, and the store's keys once:
  BERTH_S3_ACCESS_KEY_ID, BERTH_S3_SECRET_ACCESS_KEY`;

const LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

function domainName(text: string): string {
  const name = text.toLowerCase().replace(/\.$/, "");
  if (new RegExp(`^(${LABEL}\\.)+[a-z][a-z0-9-]*[a-z0-9]$`).test(name) && name.length <= 200) return name;
  throw new InvalidArgumentError("Give a domain name such as apps.example.com.");
}

function label(text: string): string {
  if (new RegExp(`^${LABEL}$`).test(text) && text.length <= 30) return text;
  throw new InvalidArgumentError("Give lower case letters, digits and hyphens, at most 30.");
}
