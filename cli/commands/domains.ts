// domains add|ls|show|verify|rm: hostnames of one's own, with the records that prove them and lead to the app.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Domain } from "../../contracts/domains.ts";
import type { Context } from "../context.ts";
import { showDomain, showDomains } from "../domains/show-domain.ts";
import { waitForDomain } from "../domains/wait-for-domain.ts";
import { duration } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { listAll } from "./list-all.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

export function domainsCommand() {
  const domains = new Command("domains").description("an app's custom domains");
  domains
    .command("add")
    .description("add a hostname, and show the DNS records that it needs")
    .argument("<hostname>", "such as shop.example.com, or '*.example.com'")
    .option("--app <name>")
    .action(async (hostname, options, command) => {
      const context = contextOf(command);
      const app = appNameOf(context, options.app);
      const added = await context.api.call(Domain, "POST", appPath(app, "/domains"), { hostname });
      context.out.result(added, () => {
        showDomain(context.out, added);
        if (added.status === "pending")
          context.out.line(`\nOnce the records are made: berth domains verify '${added.hostname}' --app ${app} --wait`);
      });
    });
  domains
    .command("ls")
    .description("all of them, with their certificates")
    .option("--app <name>")
    .action(async (options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, Domain, appPath(appNameOf(context, options.app), "/domains"));
      context.out.result(items, () => showDomains(context.out, items));
    });
  domains
    .command("show")
    .description("one, as it was last seen, with what is left to do")
    .argument("<hostname>")
    .option("--app <name>")
    .action(async (hostname, options, command) => {
      const context = contextOf(command);
      const path = domainPath(context, options.app, hostname);
      const domain = await context.api.call(Domain, "GET", path);
      context.out.result(domain, () => showDomain(context.out, domain));
    });
  domains
    .command("verify")
    .description("look at its DNS records now; fails while it does not serve")
    .argument("<hostname>")
    .option("--app <name>")
    .option("--wait [duration]", "look again until it serves and DNS leads here, at most so long (10min)", duration)
    .action(async (hostname, options, command) => {
      const context = contextOf(command);
      const path = `${domainPath(context, options.app, hostname)}/verify`;
      const look = () => context.api.call(Domain, "POST", path);
      const { wait } = options;
      const waitMs = wait === true ? DEFAULT_WAIT_MS : wait;
      const domain = waitMs === undefined ? await look() : await waitForDomain(context, look, waitMs);
      context.out.result(domain, () => showDomain(context.out, domain));
      if (!SERVES.includes(domain.status))
        throw new CommandFailure(`${domain.hostname} does not serve: ${domain.message}`, EXIT.failed);
    });
  domains
    .command("rm")
    .description("remove a hostname; other teams cannot have it for a while")
    .argument("<hostname>")
    .option("--app <name>")
    .action(async (hostname, options, command) => {
      const context = contextOf(command);
      await context.api.call(z.unknown(), "DELETE", domainPath(context, options.app, hostname));
      context.out.result({ hostname }, () =>
        context.out.line(`Removed ${hostname.replace(/\.$/, "").toLowerCase()}: it serves nobody any more.`),
      );
    });
  return domains;
}

const SERVES: readonly Domain["status"][] = ["active", "proven", "failing"];
const DEFAULT_WAIT_MS = 600_000;

function domainPath(context: Context, app: string | undefined, hostname: string): string {
  return appPath(appNameOf(context, app), `/domains/${encodeURIComponent(hostname)}`);
}
